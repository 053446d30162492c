package wire

import (
	"errors"
	"fmt"
	"strings"
)

// Name is a domain name in wire form with ASCII letters in lower case: length-prefixed labels, closed by the empty
// label. The zero Name is no name at all.
type Name string

// Root is the name of the DNS root.
const Root Name = "\x00"

// Limits of RFC 1035 section 2.3.4, in octets.
const (
	MaxLabel = 63
	MaxName  = 255
)

// Errors of ParseName.
var (
	ErrEmptyLabel   = errors.New("empty label")
	ErrLabelTooLong = errors.New("label longer than 63 octets")
	ErrNameTooLong  = errors.New("name longer than 255 octets")
	ErrEscape       = errors.New(`escape is neither \X nor \DDD`)
	ErrNotASCII     = errors.New(`not ASCII: write an international name in its xn-- form, other octets as \DDD`)
)

// ParseName reads a name in presentation form (RFC 1035 section 5.1, with \X and \DDD escapes). A name without closing
// dot is taken relative to origin; "@" and "" are origin itself.
func ParseName(s string, origin Name) (Name, error) {
	if s == "." {
		return Root, nil
	}
	if s == "@" || s == "" {
		return origin, nil
	}
	var name [2 * MaxName]byte
	var one [MaxLabel + 1]byte
	out, label := name[:0], one[:0]
	absolute := false
	for i := 0; i < len(s); i++ {
		absolute = false
		switch c := s[i]; c {
		case '.':
			if len(label) == 0 {
				return "", fmt.Errorf("name %q: %w", s, ErrEmptyLabel)
			}
			out = append(append(out, byte(len(label))), label...)
			if len(out) >= MaxName {
				return "", fmt.Errorf("name %q: %w", s, ErrNameTooLong)
			}
			label = label[:0]
			absolute = true
			continue
		case '\\':
			b, used, err := unescape(s[i+1:])
			if err != nil {
				return "", fmt.Errorf("name %q: %w", s, err)
			}
			label = append(label, lower[b])
			i += used
		default:
			if c > '~' {
				return "", fmt.Errorf("name %q: %w", s, ErrNotASCII)
			}
			label = append(label, lower[c])
		}
		if len(label) > MaxLabel {
			return "", fmt.Errorf("name %q: %w", s, ErrLabelTooLong)
		}
	}
	if absolute {
		out = append(out, 0)
	} else {
		out = append(append(append(out, byte(len(label))), label...), origin...)
	}
	if len(out) > MaxName {
		return "", fmt.Errorf("name %q: %w", s, ErrNameTooLong)
	}
	return Name(out), nil
}

func unescape(s string) (b byte, used int, err error) {
	if s == "" {
		return 0, 0, ErrEscape
	}
	if s[0] > '~' {
		return 0, 0, ErrNotASCII
	}
	if s[0] < '0' || s[0] > '9' {
		return s[0], 1, nil
	}
	if len(s) < 3 {
		return 0, 0, ErrEscape
	}
	v := 0
	for _, d := range []byte(s[:3]) {
		if d < '0' || d > '9' {
			return 0, 0, ErrEscape
		}
		v = v*10 + int(d-'0')
	}
	if v > 255 {
		return 0, 0, ErrEscape
	}
	return byte(v), 3, nil
}

// String is the absolute presentation form, with a closing dot.
func (n Name) String() string {
	if n == "" {
		return ""
	}
	if n == Root {
		return "."
	}
	var b strings.Builder
	for n[0] != 0 {
		for _, c := range []byte(n[1 : 1+n[0]]) {
			switch {
			case c == '.' || c == '\\' || c == '"' || c == ';' || c == '(' || c == ')' || c == '@' || c == '$':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c <= ' ' || c > '~':
				fmt.Fprintf(&b, `\%03d`, c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('.')
		n = n[1+n[0]:]
	}
	return b.String()
}

// Parent is the name with its first label taken off; of the root it is the root.
func (n Name) Parent() Name {
	if len(n) < 2 {
		return Root
	}
	return n[1+n[0]:]
}

// Child is the name one label below n. label is taken as it is.
func (n Name) Child(label string) (Name, error) {
	if label == "" {
		return "", ErrEmptyLabel
	}
	if len(label) > MaxLabel {
		return "", ErrLabelTooLong
	}
	if len(n)+1+len(label) > MaxName {
		return "", ErrNameTooLong
	}
	b := make([]byte, 0, 1+len(label)+len(n))
	b = append(b, byte(len(label)))
	for i := range len(label) {
		b = append(b, lower[label[i]])
	}
	return Name(append(b, n...)), nil
}

// IsAtOrBelow reports whether n is origin or a name under it.
func (n Name) IsAtOrBelow(origin Name) bool {
	for len(n) > len(origin) {
		n = n[1+n[0]:]
	}
	return n == origin
}

// IsWildcard reports whether the first label is "*" (RFC 4592).
func (n Name) IsWildcard() bool { return len(n) > 2 && n[0] == 1 && n[1] == '*' }

// lower maps ASCII upper case letters to lower case and leaves every other octet alone (RFC 4343).
var lower = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if i >= 'A' && i <= 'Z' {
			t[i] = byte(i) + 'a' - 'A'
		}
	}
	return t
}()

// Lower appends the wire-form octets of src to dst with ASCII letters in lower case. Length octets are below 'A' and
// stay.
func Lower(dst, src []byte) []byte {
	for _, c := range src {
		dst = append(dst, lower[c])
	}
	return dst
}
