package feed

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/hanse-federation/hanse/dns/zone"
)

// writePatience is how long a follower may take to read one message.
const writePatience = time.Minute

// Serve gives the store to whoever asks, until the request ends. asOf is when what the store has was last known to hold;
// the zero time: never.
func Serve(store *zone.Store, asOf func() time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "only GET is served here", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		s := stream{store: store, asOf: asOf, out: json.NewEncoder(w), control: http.NewResponseController(w)}
		// An error is the follower's leaving, or the end of this server: nobody is left to be told.
		_ = s.run(req)
	})
}

// stream is what one follower gets.
type stream struct {
	store   *zone.Store
	asOf    func() time.Time
	out     *json.Encoder
	control *http.ResponseController
	sent    *zone.Snapshot
	isBegun bool
}

func (s *stream) run(req *http.Request) error {
	beat := time.NewTicker(Heartbeat)
	defer beat.Stop()
	for {
		changed := s.store.Changed() // before the snapshot: what comes between is told at once
		m, err := s.next(s.store.Snapshot())
		if err != nil {
			return err
		}
		if err := s.send(m); err != nil {
			return err
		}
		select {
		case <-req.Context().Done():
			return req.Context().Err()
		case <-changed:
		case <-beat.C:
		}
	}
}

// next is the message about the present snapshot, which may be nil.
func (s *stream) next(now *zone.Snapshot) (Message, error) {
	m := Message{Age: AgeUnknown}
	if at := s.asOf(); !at.IsZero() {
		m.Age = max(0, time.Since(at).Milliseconds())
	}
	if !s.isBegun {
		m.Format, s.isBegun = Format, true
	}
	if now == nil {
		return m, nil
	}
	m.Serial = now.Serial()
	before := s.sent
	s.sent = now
	if before == now {
		return m, nil
	}
	if before != nil {
		if changes, ok := zone.Diff(before, now); ok {
			m.Changes = changes
			return m, nil
		}
	}
	c, err := now.Config()
	if err != nil {
		return m, fmt.Errorf("sending DNS snapshot %d: %w", now.Serial(), err)
	}
	m.Config = &c
	return m, nil
}

func (s *stream) send(m Message) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(writePatience)) // where the server can
	if err := s.out.Encode(m); err != nil {
		return err
	}
	return s.control.Flush()
}
