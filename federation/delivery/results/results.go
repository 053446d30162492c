package results

import (
	"maps"
	"sync"

	"github.com/hanse-federation/hanse/api/printable"
	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/template"
)

// Entry is what the last apply of a template in a member did.
type Entry struct {
	// Verdict, with Reason and Message when it is not a good one.
	Verdict v1alpha1.Verdict
	Reason  string
	Message string
	// Revision is the hash of what was applied last; it stays when a later apply fails.
	Revision string
	// TemplateGeneration that was applied last.
	TemplateGeneration int64
	// Fingerprint of our part of the member's object right after that.
	Fingerprint string
	// Generation of the member's object right after that.
	Generation int64
	// Decision is the generation of the Distribution that the verdict is about.
	Decision int64
	// Tried is the hash of what the verdict is about, whether it was applied or not; it is not stored.
	Tried string
	// Seen is what of the member's object the message speaks of, where that took asking; it is not stored.
	Seen string
}

// The reasons of Skipped that leave something to be done.
const (
	// ReasonPaused: the member or the placement is paused.
	ReasonPaused = "Paused"
	// ReasonReportOnly: the placement only reports what would be done.
	ReasonReportOnly = "ReportOnly"
	// ReasonDrifted: somebody changed the object in the member, and the placement only reports it.
	ReasonDrifted = "Drifted"
)

// ReasonEnded, of Skipped: the work of the object has ended, and nothing is to be done.
const ReasonEnded = "Ended"

// The reasons of what was undone in a member.
const (
	// ReasonRepaired: somebody changed the object in the member, and it was brought back.
	ReasonRepaired = "DriftRepaired"
	// ReasonContended: somebody changes the object in the member again and again, and it is brought back now and then.
	ReasonContended = "Contended"
)

// ReasonAwaitsSuccessors: the member runs more replicas than it is to have, and they stay until others are ready.
const ReasonAwaitsSuccessors = "AwaitsSuccessors"

// Good reports whether the member is as asked.
func (e Entry) Good() bool {
	switch e.Verdict {
	case v1alpha1.VerdictCreated, v1alpha1.VerdictConfigured, v1alpha1.VerdictUnchanged, v1alpha1.VerdictDeleted:
		return true
	case v1alpha1.VerdictSkipped:
		return e.Reason != ReasonPaused && e.Reason != ReasonReportOnly && e.Reason != ReasonDrifted
	}
	return false
}

// InPlace reports whether the member got the object of Revision, whatever somebody did to it there since.
func (e Entry) InPlace() bool {
	switch e.Verdict {
	case v1alpha1.VerdictCreated, v1alpha1.VerdictConfigured, v1alpha1.VerdictUnchanged:
		return true
	}
	return e.Reason == ReasonDrifted || e.Reason == ReasonContended || e.Reason == ReasonAwaitsSuccessors
}

// Settled reports whether the apply has ended, well or badly.
func (e Entry) Settled() bool { return e.Verdict != "" && e.Verdict != v1alpha1.VerdictPending }

// Listener hears that a template's entries changed.
type Listener func(template.Ref)

// maxMessage is how much of what a member says of one object is kept.
const maxMessage = 1200

// Store holds the entries. The zero value is an empty store.
type Store struct {
	mu        sync.RWMutex
	entries   map[template.Ref]map[member.Name]Entry
	listeners []Listener
}

// Listen calls listener after every change. It must be called before the first change.
func (s *Store) Listen(listener Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, listener)
}

// Load fills in the entries of a Distribution that the book does not have yet, as they were when its status was
// written.
func (s *Store) Load(ref template.Ref, status v1alpha1.DistributionStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, outcome := range status.Clusters {
		name := member.Name(outcome.Name)
		if _, known := s.entries[ref][name]; known || outcome.Verdict == "" {
			continue
		}
		s.put(ref, name, Entry{
			Verdict:            outcome.Verdict,
			Reason:             outcome.Reason,
			Message:            outcome.Message,
			Revision:           outcome.Revision,
			TemplateGeneration: outcome.TemplateGeneration,
			Fingerprint:        outcome.Fingerprint,
			Decision:           status.ObservedGeneration,
		})
	}
}

// Get returns the entry of a template in a member.
func (s *Store) Get(ref template.Ref, name member.Name) (Entry, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	entry, ok := s.entries[ref][name]
	return entry, ok
}

// Of returns the entries of a template.
func (s *Store) Of(ref template.Ref) map[member.Name]Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.entries[ref])
}

// Record enters what an apply did.
func (s *Store) Record(ref template.Ref, name member.Name, entry Entry) {
	entry.Message = printable.Line(entry.Message, maxMessage)
	s.mu.Lock()
	old, known := s.entries[ref][name]
	if known && old == entry {
		s.mu.Unlock()
		return
	}
	s.put(ref, name, entry)
	listeners := s.listeners
	s.mu.Unlock()
	for _, tell := range listeners {
		tell(ref)
	}
}

// Forget drops what is known of a template in a member.
func (s *Store) Forget(ref template.Ref, name member.Name) {
	s.mu.Lock()
	_, known := s.entries[ref][name]
	delete(s.entries[ref], name)
	if len(s.entries[ref]) == 0 {
		delete(s.entries, ref)
	}
	listeners := s.listeners
	s.mu.Unlock()
	if !known {
		return
	}
	for _, tell := range listeners {
		tell(ref)
	}
}

// Close drops a template.
func (s *Store) Close(ref template.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, ref)
}

// put needs the lock.
func (s *Store) put(ref template.Ref, name member.Name, entry Entry) {
	if s.entries == nil {
		s.entries = map[template.Ref]map[member.Name]Entry{}
	}
	if s.entries[ref] == nil {
		s.entries[ref] = map[member.Name]Entry{}
	}
	s.entries[ref][name] = entry
}
