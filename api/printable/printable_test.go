package printable

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ what, text, want string }{
		{"plain", "3 of 3 replicas are ready", "3 of 3 replicas are ready"},
		{"line feeds and tabs", "a\n\tb", "a\n\tb"},
		{"other scripts", "Grüße, 世界, می\u200cخواهم, 👩\u200d🚀", "Grüße, 世界, می\u200cخواهم, 👩\u200d🚀"},
		{"a title and a cleared screen", "\x1b]0;PWNED\a\x1b[2J", `\u001b]0;PWNED\u0007\u001b[2J`},
		{"carriage return, backspace", "good\rbad\b", `good\u000dbad\u0008`},
		{"C1, which some terminals obey", "\u009b31m\u0085\u007f", `\u009b31m\u0085\u007f`},
		{"right to left", "exe.\u202egnp.\u202c", `exe.\u202egnp.\u202c`},
		{"isolates and marks", "\u2066a\u2069\u200e\u061c", `\u2066a\u2069\u200e\u061c`},
		{"separators", "a\u2028b\u2029", `a\u2028b\u2029`},
		{"tags", "a\U000e0041", `a\udb40\udc41`},
		{"no UTF-8", "a\x9b\xffb", "a\ufffd\ufffdb"},
		{"an honest replacement character", "a\ufffdb", "a\ufffdb"},
	} {
		if got := Text(c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

func TestColored(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain\n", "plain\n"},
		{"\x1b[32mINFO\x1b[0m started\n", "\x1b[32mINFO\x1b[0m started\n"},
		{"\x1b[1;38;5;12mleft on\n", "\x1b[1;38;5;12mleft on\x1b[0m\n"},
		{"\x1b[2J\x1b[31mred\x1b[m", "\\u001b[2J\x1b[31mred\x1b[m"},
		{"\x1b]0;title\a\x1b[", `\u001b]0;title\u0007\u001b[`},
		{"\x1b[31", `\u001b[31`},
		{"\x1b[\x1b[0mx", "\\u001b[\x1b[0mx"},
	} {
		if got := Colored(c.text); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func TestLine(t *testing.T) {
	for _, c := range []struct {
		what, text string
		most       int
		want       string
	}{
		{"one line", " a \n\t b\r\n", 10, "a b"},
		{"a long one", strings.Repeat("a", 900_000), 5, "aaaaa …"},
		{"cut inside of a rune", "aaaaü", 5, "aaaa …"},
		{"escaped", "\x1b[2J", 20, `\u001b[2J`},
		{"much white space before the text", strings.Repeat(" ", 1000) + "a", 5, " …"},
	} {
		if got := Line(c.text, c.most); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

func TestValues(t *testing.T) {
	value := map[string]any{"message": "\x1b[2J", "list": []any{"\u202e", int64(3), map[string]any{"a": "b\a"}}, "\x1bkey": "x", "n": nil}
	want := map[string]any{"message": `\u001b[2J`, "list": []any{`\u202e`, int64(3), map[string]any{"a": `b\u0007`}},
		`\u001bkey`: "x", "n": nil}
	if diff := cmp.Diff(any(want), Values(value)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// However text is cut into writes, what comes out is the same.
func TestWriterHoldsRunesTogether(t *testing.T) {
	text := "a\x1b[31m世\u202e界\U000e0041\x9b\xf0\x9f end\n"
	for size := 1; size <= len(text); size++ {
		var out bytes.Buffer
		w := NewWriter(&out)
		for rest := []byte(text); len(rest) > 0; {
			n, err := w.Write(rest[:min(size, len(rest))])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if out.String() != Text(text) {
			t.Errorf("in pieces of %d: %q, want %q", size, out.String(), Text(text))
		}
	}
}

// JSON stays JSON, and says the same.
func TestWriterKeepsJSON(t *testing.T) {
	said := map[string]string{"message": "\x1b[2J\u202e\u009b\U000e0041 世界"}
	raw, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	var read map[string]string
	if err := json.Unmarshal([]byte(Text(string(raw))), &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(said, read); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzText(f *testing.F) {
	f.Add("\x1b[2J\u202e\x9b")
	f.Fuzz(func(t *testing.T, s string) {
		safe := Text(s)
		if !utf8.ValidString(safe) {
			t.Fatalf("%q is not UTF-8", safe)
		}
		for _, r := range safe {
			if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("%q has %U", safe, r)
			}
		}
		if Text(safe) != safe {
			t.Fatalf("%q is not what it becomes of itself", safe)
		}
		if line := Line(s, 40); strings.ContainsAny(line, "\n\t") || len(line) > 40+len(" …") {
			t.Fatalf("%q is no line", line)
		}
	})
}
