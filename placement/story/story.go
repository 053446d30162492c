package story

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt; commit only differences that you understand")

// World is what the lines of a story change.
type World interface {
	// Obey does what a line says.
	Obey(line string) error
	// Tell says how the world is now, in lines.
	Tell(t *testing.T) string
}

// Play plays every story of the files that match a pattern, each in a world of its own.
func Play(t *testing.T, pattern string, newWorld func() World) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in %s: %v", pattern, err)
	}
	for _, file := range files {
		playFile(t, file, newWorld)
	}
}

func playFile(t *testing.T, file string, newWorld func() World) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	stories := strings.Split("\n"+string(text), "\n## ")
	played := stories[:1:1]
	for _, story := range stories[1:] {
		title, rest, _ := strings.Cut(story, "\n")
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+title, func(t *testing.T) {
			got := title + "\n" + play(t, rest, newWorld())
			played = append(played, got)
			if diff := cmp.Diff(story, got); diff != "" && !*update {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if *update && !t.Failed() && len(played) == len(stories) {
		told := strings.TrimPrefix(strings.Join(played, "\n## "), "\n")
		if err := os.WriteFile(file, []byte(told), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// play tells a story again, as it is now.
func play(t *testing.T, story string, w World) string {
	var told strings.Builder
	for _, step := range strings.SplitAfter(story, "\n\n") {
		lines, _, tells := strings.Cut(step, "----\n")
		told.WriteString(lines)
		for _, line := range strings.Split(lines, "\n") {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if err := w.Obey(line); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		if !tells {
			continue
		}
		told.WriteString("----\n" + w.Tell(t))
		if strings.HasSuffix(step, "\n\n") {
			told.WriteString("\n")
		}
	}
	return told.String()
}
