package printable

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// Text returns s with everything escaped that is not safe to show. Line feeds and tabs stay.
func Text(s string) string {
	first := firstUnsafe(s)
	if first < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:first])
	for rest := s[first:]; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteRune(utf8.RuneError)
		case isUnsafe(r):
			escape(&b, r)
		default:
			b.WriteString(rest[:size])
		}
		rest = rest[size:]
	}
	return b.String()
}

// Line returns s as one line of at most about most bytes: white space is folded, the rest is as with Text.
func Line(s string, most int) string {
	const scanned = 8 // folding and escaping change the length, but not without bound
	isCut := false
	if len(s) > most*scanned {
		s, isCut = s[:most*scanned], true
	}
	s = Text(strings.Join(strings.Fields(s), " "))
	if len(s) > most {
		s, isCut = s[:most], true
	}
	if isCut {
		return strings.ToValidUTF8(s, "") + " …"
	}
	return s
}

// Colored returns s as Text does, but keeps the sequences that only choose colors and weight (SGR), as programs write them
// into their logs. It ends with a reset if they are left on, so that what follows looks as it should.
func Colored(s string) string {
	var b strings.Builder
	isOn := false
	for {
		start := strings.Index(s, "\x1b[")
		if start < 0 {
			break
		}
		length := 2
		for start+length < len(s) && strings.IndexByte("0123456789;", s[start+length]) >= 0 {
			length++
		}
		if start+length >= len(s) || s[start+length] != 'm' {
			b.WriteString(Text(s[:start+length]))
			s = s[start+length:]
			continue
		}
		sequence := s[start : start+length+1]
		b.WriteString(Text(s[:start]))
		b.WriteString(sequence)
		isOn = sequence != reset && sequence != "\x1b[m"
		s = s[start+length+1:]
	}
	text, isLine := strings.CutSuffix(Text(s), "\n")
	b.WriteString(text)
	if isOn {
		b.WriteString(reset)
	}
	if isLine {
		b.WriteByte('\n')
	}
	return b.String()
}

// reset is the sequence that ends colors.
const reset = "\x1b[0m"

// Values escapes every text inside of a JSON value as decoded by encoding/json, keys included, and returns it. Maps and
// slices are changed in place, and only where there is something to escape.
func Values(value any) any {
	switch v := value.(type) {
	case string:
		return Text(v)
	case []any:
		for i := range v {
			if changed := Values(v[i]); isText(v[i]) {
				v[i] = changed
			}
		}
	case map[string]any:
		for key, inner := range v {
			if changed := Values(inner); isText(inner) {
				v[key] = changed
			}
			if safe := Text(key); safe != key {
				v[safe] = v[key]
				delete(v, key)
			}
		}
	}
	return value
}

func isText(value any) bool {
	_, ok := value.(string)
	return ok
}

// firstUnsafe is the index of the first rune to escape, or -1.
func firstUnsafe(s string) int {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if isUnsafe(rune(c)) {
				return i
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || isUnsafe(r) {
			return i
		}
		i += size
	}
	return -1
}

// isUnsafe reports whether a rune must not reach a terminal or a page as it is.
func isUnsafe(r rune) bool {
	switch {
	case r < ' ':
		return r != '\n' && r != '\t'
	case r < 0x7f:
		return false
	case r <= 0x9f: // DEL and C1
		return true
	}
	switch {
	case r == 0x61c, r == 0x200e, r == 0x200f, // marks of direction
		r >= 0x2028 && r <= 0x202e, // separators, embeddings and overrides of direction
		r >= 0x2066 && r <= 0x206f, // isolates of direction, and deprecated controls
		r == 0xfeff, r >= 0xfff9 && r <= 0xfffb,
		r >= 0xe0000 && r <= 0xe007f: // tags
		return true
	}
	return false
}

// escape writes a rune as JSON does.
func escape(b *strings.Builder, r rune) {
	if r > 0xffff {
		r -= 0x10000
		fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		return
	}
	fmt.Fprintf(b, `\u%04x`, r)
}

// Writer passes text on as Text makes it, one call at a time. Make one with NewWriter.
type Writer struct {
	to io.Writer
	mu sync.Mutex
	// rest is the beginning of a rune whose end has not come yet.
	rest []byte
}

// NewWriter returns a Writer that writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Write implements io.Writer. A rune whose end is in the next call is written then.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := p
	if len(w.rest) > 0 {
		text = append(w.rest, p...)
		w.rest = nil
	}
	whole := len(text) - unfinished(text)
	w.rest = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(w.to, Text(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Raw is what the Writer writes to, for what must pass unchanged: the output of a program that somebody runs on purpose.
func (w *Writer) Raw() io.Writer { return w.to }

// unfinished is how many bytes at the end are the beginning of a rune.
func unfinished(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		switch tail := text[len(text)-n:]; {
		case !utf8.RuneStart(tail[0]):
			continue
		case utf8.FullRune(tail):
			return 0
		default:
			return n
		}
	}
	return 0
}
