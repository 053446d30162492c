package kinds

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// story is one example of a testdata file: a "## name" heading and parts that begin with "--- title".
type story struct {
	name  string
	parts []part
}

type part struct{ title, content string }

func (s story) part(title string) string {
	for _, p := range s.parts {
		if p.title == title {
			return p.content
		}
	}
	return ""
}

func readStories(t *testing.T, file string) []story {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var stories []story
	for _, chunk := range strings.Split("\n"+string(text), "\n## ")[1:] {
		name, body, _ := strings.Cut(chunk, "\n")
		s := story{name: name}
		for _, p := range strings.Split("\n"+body, "\n--- ")[1:] {
			title, content, _ := strings.Cut(p, "\n")
			s.parts = append(s.parts, part{title, content})
		}
		stories = append(stories, s)
	}
	if len(stories) == 0 {
		t.Fatalf("%s holds no story", file)
	}
	return stories
}

func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	encoded, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(encoded); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return obj
}

// fields reads YAML as an unstructured object would hold it.
func fields(t testing.TB, text string) map[string]any {
	t.Helper()
	if strings.TrimSpace(text) == "" || strings.TrimSpace(text) == "none" {
		return nil
	}
	wrapped := object(t, "apiVersion: v1\nkind: X\nstatus:\n  "+strings.ReplaceAll(text, "\n", "\n  "))
	return mapAt(wrapped.Object, "status")
}

func TestRender(t *testing.T) {
	for _, s := range readStories(t, "testdata/render.txt") {
		t.Run(s.name, func(t *testing.T) {
			template := object(t, s.part("template"))
			before := template.DeepCopy()
			var share Share
			if err := yaml.UnmarshalStrict([]byte(s.part("share")), &share); err != nil {
				t.Fatal(err)
			}
			got, err := Of(template).Render(template, share)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(t, s.part("object")).Object, got.Object); diff != "" {
				t.Errorf("rendered (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before.Object, template.Object); diff != "" {
				t.Errorf("the template was changed:\n%s", diff)
			}
			scribble(got.Object)
			if diff := cmp.Diff(before.Object, template.Object); diff != "" {
				t.Errorf("the rendered object shares memory with the template:\n%s", diff)
			}
		})
	}
}

// scribble overwrites everything that can be reached.
func scribble(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			scribble(child)
			v[key] = "scribbled"
		}
	case []any:
		for i, child := range v {
			scribble(child)
			v[i] = "scribbled"
		}
	}
}
