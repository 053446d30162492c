package results

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
)

var (
	web = template.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
	api = template.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "api"}
)

// What was stored is filled in, and never overwrites what has happened since.
func TestLoad(t *testing.T) {
	var s Store
	news := 0
	s.Listen(func(template.Ref) { news++ })
	s.Record(web, "east", Entry{Verdict: "Configured", Revision: "new", Decision: 4})
	news = 0
	s.Load(web, v1alpha1.DistributionStatus{ObservedGeneration: 3, Clusters: []v1alpha1.ClusterOutcome{
		{Name: "east", Verdict: "Created", Revision: "old"},
		{Name: "west", Verdict: "Failed", Reason: "Forbidden", Message: "give us", Revision: "old", TemplateGeneration: 2,
			Fingerprint: "f"},
		{Name: "north"}, // nothing was done there
	}})
	want := map[member.Name]Entry{
		"east": {Verdict: "Configured", Revision: "new", Decision: 4},
		"west": {Verdict: "Failed", Reason: "Forbidden", Message: "give us", Revision: "old", TemplateGeneration: 2,
			Fingerprint: "f", Decision: 3},
	}
	if diff := cmp.Diff(want, s.Of(web)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if news > 0 {
		t.Error("what is loaded is no news")
	}
}

// A listener hears of every change, after it, and of nothing that is not one.
func TestListen(t *testing.T) {
	var s Store
	var heard []string
	s.Listen(func(ref template.Ref) {
		entry, known := s.Get(ref, "east") // a listener may look
		heard = append(heard, fmt.Sprintf("%s %s %t", ref.Name, entry.Verdict, known))
	})
	s.Record(web, "east", Entry{Verdict: "Created"})
	s.Record(web, "east", Entry{Verdict: "Created"})
	s.Record(web, "east", Entry{Verdict: "Unchanged"})
	s.Forget(web, "east")
	s.Forget(web, "east")
	s.Forget(api, "east")
	s.Record(web, "east", Entry{}) // an empty entry is an entry
	want := []string{"web Created true", "web Unchanged true", "web  false", "web  true"}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Close takes one template out, and Of is a copy that nobody's writing reaches.
func TestCloseAndOf(t *testing.T) {
	var s Store
	if got := s.Of(web); len(got) > 0 {
		t.Errorf("an empty store has %v", got)
	}
	s.Record(web, "east", Entry{Verdict: "Created"})
	s.Record(api, "east", Entry{Verdict: "Created"})
	mine := s.Of(web)
	mine["east"] = Entry{Verdict: "Failed"}
	if entry, _ := s.Get(web, "east"); entry.Verdict != "Created" {
		t.Error("a caller's copy is the book itself")
	}
	s.Close(web)
	if got := s.Of(web); len(got) > 0 {
		t.Errorf("a closed template has %v", got)
	}
	if _, ok := s.Get(api, "east"); !ok {
		t.Error("another template was closed as well")
	}
	s.Forget(api, "east")
	if len(s.entries) > 0 {
		t.Errorf("a book of nothing holds %v", s.entries)
	}
}

func TestVerdicts(t *testing.T) {
	for verdict, want := range map[v1alpha1.Verdict]string{
		"":        "good false, settled false",
		"Pending": "good false, settled false",
		"Failed":  "good false, settled true", "Conflict": "good false, settled true",
		"Created": "good true, settled true", "Configured": "good true, settled true", "Unchanged": "good true, settled true",
		"Skipped": "good true, settled true", "Deleted": "good true, settled true",
	} {
		e := Entry{Verdict: verdict}
		if got := fmt.Sprintf("good %t, settled %t", e.Good(), e.Settled()); got != want {
			t.Errorf("%q is %s, want %s", verdict, got, want)
		}
	}
}

// Many lanes write at once; every entry is there in the end, and every one was told.
func TestConcurrent(t *testing.T) {
	var s Store
	var mu sync.Mutex
	told := map[template.Ref]int{}
	s.Listen(func(ref template.Ref) {
		mu.Lock()
		defer mu.Unlock()
		told[ref]++
	})
	var lanes sync.WaitGroup
	for lane := range 8 {
		lanes.Go(func() {
			for i := range 100 {
				name := member.Name(fmt.Sprintf("member-%d", lane))
				s.Record(template.Ref{Kind: "A", Name: fmt.Sprint(i)}, name, Entry{Verdict: "Created"})
			}
		})
	}
	lanes.Wait()
	for i := range 100 {
		ref := template.Ref{Kind: "A", Name: fmt.Sprint(i)}
		if len(s.Of(ref)) != 8 || told[ref] != 8 {
			t.Errorf("%s has %d entries, %d were told, want 8", ref, len(s.Of(ref)), told[ref])
		}
	}
}
