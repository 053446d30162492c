package querylog

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Path is where the log of a DNS server is served.
const Path = "/dns/log"

const (
	// lookEvery is how often a watcher is told of new queries.
	lookEvery = 100 * time.Millisecond
	// heartbeat is the longest time between two lines, and writePatience how long a watcher may take to read.
	heartbeat     = 5 * time.Second
	writePatience = 10 * time.Second
)

// Line is one line of the log: a query, or how many were left out.
type Line struct {
	Time      time.Time `json:"time"`
	Client    string    `json:"client,omitempty"`
	Transport string    `json:"transport,omitempty"`
	Name      string    `json:"name,omitempty"`
	Type      string    `json:"type,omitempty"`
	// Flags of the query: rd, do.
	Flags []string `json:"flags,omitempty"`
	// Rcode of the response; empty: there was none.
	Rcode string `json:"rcode,omitempty"`
	// Size of the response in octets.
	Size   int     `json:"size,omitempty"`
	Micros float64 `json:"micros,omitempty"`
	// Target that came first in the answer of a balanced name.
	Target string `json:"target,omitempty"`
	// Missed is the number of queries that are not in the log, since there were too many; then nothing else is set but
	// the time.
	Missed uint64 `json:"missed,omitempty"`
}

func lineOf(q *Query) Line {
	l := Line{
		Time: time.Unix(0, q.At).UTC(), Client: q.Client.String(), Transport: q.Transport, Name: q.Name(),
		Size: q.Size, Micros: float64(q.Took) / float64(time.Microsecond), Target: q.Target,
	}
	if q.Type != 0 {
		l.Type = q.Type.String()
	}
	if q.Size > 0 {
		l.Rcode = q.Rcode.String()
	}
	if q.RD {
		l.Flags = append(l.Flags, "rd")
	}
	if q.DO {
		l.Flags = append(l.Flags, "do")
	}
	return l
}

// Serve switches the ring on for each request, and tells it of all queries until it ends.
func Serve(ring *Ring) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "only GET is served here", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		watcher := ring.Watch()
		defer watcher.Close()
		// An error is the watcher's leaving: nobody is left to be told.
		_ = tell(req.Context(), w, watcher)
	})
}

func tell(ctx context.Context, w http.ResponseWriter, watcher *Watcher) error {
	control, out := http.NewResponseController(w), bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var queries []Query
	var missed uint64
	for told := (time.Time{}); ; {
		if len(queries) > 0 || missed > 0 || time.Since(told) > heartbeat {
			told = time.Now()
			if missed > 0 {
				if err := lines.Encode(Line{Time: told.UTC(), Missed: missed}); err != nil {
					return err
				}
			}
			for i := range queries {
				if err := lines.Encode(lineOf(&queries[i])); err != nil {
					return err
				}
			}
			_, _ = out.WriteString("\n") // a sign of life; readers of JSON pass over it
			_ = control.SetWriteDeadline(told.Add(writePatience))
			if err := errors.Join(out.Flush(), control.Flush()); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
		queries, missed = watcher.Next(queries[:0])
	}
}

// Read asks for a log, and calls say for each line until the context ends, the server does, or say returns an error.
// begun is called once the log is on.
func Read(ctx context.Context, client *http.Client, url string, begun func(), say func(Line) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking for the log: %w", err)
	}
	response, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking for the log: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("asking for the log: %s: %s", response.Status, strings.TrimSpace(string(said)))
	}
	begun()
	lines := json.NewDecoder(response.Body)
	for {
		var l Line
		if err := lines.Decode(&l); err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		if err := say(l); err != nil {
			return err
		}
	}
}
