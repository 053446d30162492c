package rules

import (
	"flag"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/federation/kinds"
)

var update = flag.Bool("update", false, "write what is said into the stories; commit only what you understand")

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// section is one story: "## name", and parts that begin with "--- title".
type section struct {
	name  string
	parts [][2]string
}

func (s section) part(title string) string {
	for _, p := range s.parts {
		if p[0] == title {
			return p[1]
		}
	}
	return ""
}

func readSections(t *testing.T, file string) (preface string, sections []section) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	chunks := strings.Split(string(raw), "\n## ")
	for _, chunk := range chunks[1:] {
		name, body, _ := strings.Cut(chunk, "\n")
		s := section{name: name}
		parts := strings.Split("\n"+body, "\n--- ")
		if head := strings.TrimSpace(parts[0]); head != "" {
			s.parts = append(s.parts, [2]string{"", head})
		}
		for _, p := range parts[1:] {
			title, content, _ := strings.Cut(p, "\n")
			s.parts = append(s.parts, [2]string{title, strings.TrimSpace(content)})
		}
		sections = append(sections, s)
	}
	return chunks[0], sections
}

// write writes stories back, with what each says now.
func write(t *testing.T, file, preface string, sections []section) {
	t.Helper()
	var b strings.Builder
	b.WriteString(strings.TrimSpace(preface) + "\n")
	for _, s := range sections {
		b.WriteString("\n## " + s.name + "\n")
		for _, p := range s.parts {
			if p[0] != "" {
				b.WriteString("--- " + p[0] + "\n")
			}
			b.WriteString(p[1] + "\n")
		}
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
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

// verdict is what a rule says of a member's object, and, with a second member, how the two add up.
func verdict(t testing.TB, rule kinds.Rule, objects []*unstructured.Unstructured) string {
	t.Helper()
	said := Try(rule, objects[0], noon)
	said.Sent = nil
	if len(objects) > 1 {
		var members []kinds.MemberStatus
		template := objects[0].DeepCopy()
		delete(template.Object, "status")
		for i, obj := range objects {
			seen := rule.Observe([]string{"east", "west"}[i], obj)
			seen.TemplateGeneration = template.GetGeneration()
			members = append(members, seen)
		}
		said.Status = rule.Aggregate(template, members, noon)
	}
	raw, err := yaml.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

// Every shipped rule against statuses as that project documents them.
func TestShippedRules(t *testing.T) {
	const file = "testdata/shipped.txt"
	preface, sections := readSections(t, file)
	book, err := NewBook(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	told := map[schema.GroupKind]bool{}
	for n, s := range sections {
		t.Run(s.name, func(t *testing.T) {
			var objects []*unstructured.Unstructured
			for _, p := range s.parts {
				if strings.HasPrefix(p[0], "object") {
					objects = append(objects, object(t, p[1]))
				}
			}
			gk := objects[0].GroupVersionKind().GroupKind()
			told[gk] = true
			if !book.IsShipped(gk) {
				t.Errorf("no rule is shipped for %s", gk)
			}
			before := objects[0].DeepCopy()
			got := verdict(t, book.For(gk), objects)
			if diff := cmp.Diff(before.Object, objects[0].Object); diff != "" {
				t.Errorf("the object was changed:\n%s", diff)
			}
			if *update {
				i := slices.IndexFunc(s.parts, func(p [2]string) bool { return p[0] == "says" })
				if i < 0 {
					sections[n].parts = append(s.parts, [2]string{"says", got})
				} else {
					sections[n].parts[i][1] = got
				}
				return
			}
			if diff := cmp.Diff(s.part("says"), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for gk := range book.shipped {
		if !told[gk] {
			t.Errorf("the rule for %s has no story", gk)
		}
	}
	if *update {
		write(t, file, preface, sections)
	}
}

// A shipped rule is what a user could have written: it compiles, has the name that the API demands, and one kind each.
func TestShippedRulesCompile(t *testing.T) {
	rules, err := Shipped()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[schema.GroupKind]bool{}
	for _, rule := range rules {
		if _, err := Compile(&rule.Spec); err != nil {
			t.Errorf("%s: %v", rule.Name, err)
		}
		gk := KindOf(rule)
		if want := strings.ToLower(gk.Kind) + "." + gk.Group; rule.Name != want || seen[gk] {
			t.Errorf("%s is the rule of %s", rule.Name, gk)
		}
		seen[gk] = true
	}
}
