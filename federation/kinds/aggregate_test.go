package kinds

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// membersOf reads the "member …" parts of a story.
func membersOf(t *testing.T, s story, template *unstructured.Unstructured) []MemberStatus {
	t.Helper()
	var members []MemberStatus
	for _, p := range s.parts {
		words := strings.Fields(p.title)
		if words[0] != "member" {
			continue
		}
		obj := object(t, p.content)
		member := Of(obj).Observe(words[1], obj)
		member.TemplateGeneration, member.LastSeen = template.GetGeneration(), noon
		switch {
		case len(words) == 3 && words[2] == "unknown":
			member.Known, member.LastSeen = false, noon.Add(-3*time.Hour)
		case len(words) == 4 && words[2] == "applied":
			generation, err := strconv.Atoi(words[3])
			if err != nil {
				t.Fatal(err)
			}
			member.TemplateGeneration = int64(generation)
		case len(words) != 2:
			t.Fatalf("unknown title %q", p.title)
		}
		members = append(members, member)
	}
	return members
}

func TestAggregate(t *testing.T) {
	for _, s := range readStories(t, "testdata/aggregate.txt") {
		t.Run(s.name, func(t *testing.T) {
			template := object(t, s.part("template"))
			members := membersOf(t, s, template)
			before, membersBefore := template.DeepCopy(), encoded(t, members)
			want := fields(t, s.part("status"))
			for range 2 {
				got := Of(template).Aggregate(template, members, noon)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("status (-want +got):\n%s", diff)
				}
				if want != nil {
					again := template.DeepCopy()
					again.Object["status"] = got
					later := Of(template).Aggregate(again, members, noon.Add(5*time.Minute))
					if diff := cmp.Diff(got, later); diff != "" && !jobEnded(got) {
						t.Errorf("five minutes later, with nothing changed (-then +now):\n%s", diff)
					}
				}
				scribble(got)
				if diff := cmp.Diff(before.Object, template.Object); diff != "" {
					t.Errorf("the template was changed:\n%s", diff)
				}
				slices.Reverse(members)
			}
			if after := encoded(t, members); after != membersBefore {
				t.Errorf("the members were changed:\n%s\n%s", membersBefore, after)
			}
		})
	}
}

func encoded(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A Distribution stores a member's status as JSON; read back by encoding/json its numbers are floats.
func TestAggregateFromStoredStatus(t *testing.T) {
	s := readStories(t, "testdata/aggregate.txt")[0]
	template := object(t, s.part("template"))
	members := membersOf(t, s, template)
	for i := range members {
		var stored map[string]any
		if err := json.Unmarshal([]byte(encoded(t, members[i].Status)), &stored); err != nil {
			t.Fatal(err)
		}
		members[i].Status = stored
	}
	got := Of(template).Aggregate(template, members, noon)
	if diff := cmp.Diff(fields(t, s.part("status")), got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}
