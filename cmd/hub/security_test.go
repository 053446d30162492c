package hub_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// What SECURITY.md says is enforced somewhere and proved by something: the files and tests that it names are there.
func TestSecurityNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\(([^):]+)\)`).FindAllSubmatch(text, -1)
	if len(links) < 10 {
		t.Errorf("%d links were found", len(links))
	}
	for _, link := range links {
		if _, err := os.Stat(filepath.Join(root, string(link[1]))); err != nil {
			t.Errorf("SECURITY.md links to what is not there: %v", err)
		}
	}
	for _, name := range regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllSubmatch(text, -1) {
		search := exec.Command("grep", "-rq", "--include=*_test.go", "func "+string(name[1])+"(", ".")
		search.Dir = root
		if err := search.Run(); err != nil {
			t.Errorf("SECURITY.md names the test %s, which is nowhere", name[1])
		}
	}
}
