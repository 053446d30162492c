package answer

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

var update = flag.Bool("update", false, "write what the stories in testdata come out as")

// TestStories runs testdata/*.txt: a configuration in JSON, then questions ("? name type [client]") and what Explain
// says about each.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := tell(t, string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(text), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// tell copies the story, with each answer replaced by what it is now.
func tell(t *testing.T, story string) string {
	config, questions, ok := strings.Cut(story, "\n? ")
	if !ok {
		t.Fatal("a story without a question")
	}
	var c zone.Config
	start := strings.Index(config, "{")
	if err := json.Unmarshal([]byte(config[start:]), &c); err != nil {
		t.Fatal(err)
	}
	snapshot, err := zone.Build(c)
	if err != nil {
		t.Fatal(err)
	}
	out := config + "\n"
	for _, part := range strings.Split(questions, "\n? ") {
		line, rest, _ := strings.Cut(part, "\n")
		out += "? " + line + "\n"
		for l := range strings.Lines(rest) {
			if strings.HasPrefix(l, "# ") {
				out += strings.TrimRight(l, "\n") + "\n"
			}
		}
		out += ask(t, snapshot, strings.Fields(line)) + "\n"
	}
	return strings.TrimRight(out, "\n") + "\n"
}

func ask(t *testing.T, s *zone.Snapshot, f []string) string {
	name, err := wire.ParseName(f[0], wire.Root)
	if err != nil {
		t.Fatal(err)
	}
	qtype, ok := wire.ParseType(f[1])
	if !ok {
		t.Fatalf("type %q", f[1])
	}
	client := zone.Client{Addr: netip.MustParseAddr("203.0.113.7"), Random: 1 << 62}
	if len(f) > 2 {
		client.Addr = netip.MustParseAddr(f[2])
	}
	e, err := Explain(s, name, qtype, client)
	if err != nil {
		t.Fatal(err)
	}
	return e.String()
}
