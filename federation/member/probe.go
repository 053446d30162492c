package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// probeGap is the least time between two probes, however much trouble there is.
const probeGap = 200 * time.Millisecond

// runProbe asks for the member's health until ctx ends: by the clock, and at once when asked by kickProbe.
func (m *Member) runProbe(ctx context.Context) {
	timer := m.options.Clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.kickProbe:
		case <-timer.C():
		}
		m.probeOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := m.options.Clock.NewTimer(probeGap)
		select {
		case <-ctx.Done():
		case <-pause.C():
		}
		pause.Stop()
		timer.Stop()
		timer = m.options.Clock.NewTimer(m.healthNow().wait(m.probeSettings()))
	}
}

// probeOnce gathers one outcome, decides, and acts on a change of phase.
func (m *Member) probeOnce(ctx context.Context) {
	settings := m.probeSettings()
	found := m.ask(ctx, settings.Timeout)
	if ctx.Err() != nil {
		return
	}
	before, after := m.observe(found, settings)
	if before.phase != after.phase {
		m.log.Info("member changed", "phase", after.phase, "was", before.phase, "reason", after.reason, "message",
			after.message)
	}
	if after.phase == Unreachable && before.phase != Unreachable {
		m.wire.line.Load().hangUp()
	}
	if found.verdict == healthy && (before.failures > 0 || before.phase != Ready || m.identityIsOld()) {
		m.readIdentity(ctx)
	}
	if after.phase == Ready && before.phase != Ready && before.phase != Unknown {
		m.discovery.kick()
	}
}

// ask makes one health request, or two where the first is not to be had.
func (m *Member) ask(ctx context.Context, timeout time.Duration) outcome {
	server := m.wire.line.Load().config.Server
	deadline, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// A new connection that is encrypted has been made with the server itself, not only with what stands before it.
	var isConnected atomic.Bool
	deadline = httptrace.WithClientTrace(deadline, &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) { isConnected.Store(!c.Reused) },
	})
	for _, path := range []string{"/readyz", "/healthz"} {
		answer, err := m.get(deadline, path)
		if err != nil {
			if errors.Is(deadline.Err(), context.DeadlineExceeded) {
				err = context.DeadlineExceeded
				if isConnected.Load() {
					return outcome{noAnswer, ReasonSilent, fmt.Sprintf("%s takes connections and answers no request within %s; "+
						"what runs there may be well", server, timeout)}
				}
			}
			return ofError(err, server)
		}
		text := strings.TrimSpace(string(answer.body))
		switch {
		case answer.code == http.StatusOK && text == "ok":
			return outcome{healthy, ReasonReady, "it answers and says that it is ready"}
		case answer.code == http.StatusOK:
			return outcome{noAnswer, ReasonNotAnAPI,
				fmt.Sprintf("%s answers, but not as a Kubernetes API does; check the server's URL", server)}
		case answer.code == http.StatusNotFound, answer.code == http.StatusForbidden:
			if path == "/readyz" {
				continue
			}
		}
		return ofStatus(answer.code, answer.contentType, text, server)
	}
	panic("unreachable: the last path always returns")
}

type answer struct {
	code        int
	contentType string
	body        []byte
}

// maxProbeBody is more than any health, version or namespace answer has.
const maxProbeBody = 64 << 10

func (m *Member) get(ctx context.Context, path string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://member"+path, nil)
	if err != nil {
		return answer{}, fmt.Errorf("make request for %s: %w", path, err)
	}
	req.Header.Set("Accept", "application/json, */*")
	resp, err := m.wire.send(req, func() {})
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProbeBody+1))
	if err != nil {
		return answer{}, err
	}
	if len(body) > maxProbeBody {
		return answer{}, fmt.Errorf("%w: an endless answer to %s", ErrNotKubernetes, path)
	}
	return answer{code: resp.StatusCode, contentType: resp.Header.Get("Content-Type"), body: body}, nil
}

// identityAge is how often the version is read again while all is well.
const identityAge = 5 * time.Minute

func (m *Member) identityIsOld() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.options.Clock.Since(m.identityRead) > identityAge
}

// readIdentity reads version and cluster UID. What cannot be read stays as it was.
func (m *Member) readIdentity(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var version struct{ GitVersion string }
	var namespace struct {
		Kind     string
		Metadata struct{ UID string }
	}
	if err := m.getJSON(ctx, "/version", &version); err != nil {
		m.log.Debug("cannot read the member's version", "err", err)
	}
	if err := m.getJSON(ctx, "/api/v1/namespaces/kube-system", &namespace); err != nil {
		m.log.Debug("cannot read the member's identity", "err", err)
	}
	m.change(func(f *figures) {
		if version.GitVersion != "" {
			f.version = limitedText(version.GitVersion)
		}
		if namespace.Kind == "Namespace" && namespace.Metadata.UID != "" {
			f.clusterUID = limitedText(namespace.Metadata.UID)
		}
	})
	if version.GitVersion != "" {
		m.mu.Lock()
		m.identityRead = m.options.Clock.Now()
		m.mu.Unlock()
	}
}

func (m *Member) getJSON(ctx context.Context, path string, into any) error {
	a, err := m.get(ctx, path)
	if err != nil {
		return fmt.Errorf("get %s: %w", path, err)
	}
	if a.code != http.StatusOK {
		return fmt.Errorf("get %s: status %d", path, a.code)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	return nil
}
