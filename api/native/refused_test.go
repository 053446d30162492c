package native

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write what is found into testdata; commit only what you understand")

// TestRefused plays testdata/refused.txt: a story is a title, a manifest (two for an update, old then new, divided by
// "---"), "----", and what the user is told.
func TestRefused(t *testing.T) {
	path := filepath.Join("testdata", "refused.txt")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found bytes.Buffer
	for i, story := range strings.Split(strings.TrimSpace(string(text)), "\n\n\n") {
		if i > 0 {
			found.WriteString("\n\n\n")
		}
		told, want, ok := strings.Cut(story, "\n----\n")
		if !ok {
			t.Fatalf("story %q has no ----", story)
		}
		title, manifests, _ := strings.Cut(told, "\n")
		t.Run(strings.TrimPrefix(title, "# "), func(t *testing.T) {
			got := judge(t, strings.Split(manifests, "\n---\n"))
			found.WriteString(told + "\n----\n" + got)
			if diff := cmp.Diff(want, got); diff != "" && !*rewrite {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
	if *rewrite {
		if err := os.WriteFile(path, append(found.Bytes(), '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func judge(t *testing.T, manifests []string) string {
	t.Helper()
	ctx := context.Background()
	last := decode(t, manifests[len(manifests)-1])
	var told []string
	if len(manifests) == 1 {
		told = messages(Validate(ctx, last))
		for _, warning := range Warnings(ctx, last) {
			told = append(told, "Warning: "+warning)
		}
	} else {
		old := decode(t, manifests[0])
		told = messages(ValidateUpdate(ctx, last, old))
		for _, warning := range WarningsOnUpdate(ctx, last, old) {
			told = append(told, "Warning: "+warning)
		}
	}
	if len(told) == 0 {
		return "accepted"
	}
	lines := strings.Split(strings.TrimSpace(strings.Join(told, "\n")), "\n")
	for i, line := range lines {
		if len(line) > 240 { // upstream prints whole pod templates
			lines[i] = line[:160] + " ... " + line[len(line)-60:]
		}
	}
	return strings.Join(lines, "\n")
}
