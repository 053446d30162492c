package member

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/printable"
)

const (
	// requestTimeout of everything but watches and streams. The API server itself gives up after a minute.
	requestTimeout = 30 * time.Second
	// watchGrace is how long a watch may live past the end that it asked the server for.
	watchGrace = 30 * time.Second
	// maxErrorBody bounds the body of an error.
	maxErrorBody = 1 << 20
	// farewell is how long requests under way may go on after their line has been replaced.
	farewell = 30 * time.Second
)

var (
	// ErrTooLarge is the end of an answer that is longer, or would take more memory, than the hub takes from a member.
	ErrTooLarge = errors.New("the member's answer is too large")
	// ErrNotKubernetes is an answer that no Kubernetes API gives.
	ErrNotKubernetes = errors.New("what answers is not a Kubernetes API")
)

// wire is the transport of all clients of one member, for its whole life. What really carries the requests is the line,
// which can be replaced at any time.
type wire struct {
	line atomic.Pointer[line]
	// trouble is told of every error of the connection itself. It must not block.
	trouble func()
	// fence is asked directly before a request that may change something.
	fence func() error

	bounds  Bounds
	budget  *budget
	limiter *rate.Limiter
}

func newWire(trouble func(), o Options) *wire {
	b := o.Bounds
	return &wire{
		trouble: trouble, fence: o.Fence, bounds: b, budget: newBudget(b),
		limiter: rate.NewLimiter(rate.Limit(b.Rate), int(b.Burst)),
	}
}

// use makes all further requests go over next. Watches on the former line end as if the server had ended them.
func (w *wire) use(next *line) {
	if former := w.line.Swap(next); former != nil {
		former.retire(farewell)
	}
}

// RoundTrip sends the request to the member's address, whatever address it names, with a deadline and a bound on the
// answer.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	return w.send(req, w.trouble)
}

// send is RoundTrip with a choice of whom to tell of trouble: the probe must not alarm itself.
func (w *wire) send(req *http.Request, trouble func()) (*http.Response, error) {
	l := w.line.Load()
	if l.broken != nil {
		closeBody(req)
		return nil, l.broken
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		if err := w.fence(); err != nil {
			closeBody(req)
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(req.Context())
	kind := kindOf(req)
	timer := time.AfterFunc(requestTimeout, cancel)
	stopRetire := func() bool { return true }
	if kind != plain {
		stopRetire = context.AfterFunc(l.ctx, cancel)
	}
	release := func() {
		timer.Stop()
		stopRetire()
		cancel()
	}

	out := l.address(req.WithContext(ctx))
	wantPacked(out)
	resp, err := l.transport.RoundTrip(out)
	if err != nil {
		timedOut := ctx.Err() != nil && req.Context().Err() == nil && l.ctx.Err() == nil
		release()
		if timedOut {
			err = &timeoutError{after: requestTimeout}
		}
		if req.Context().Err() == nil {
			trouble()
		}
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != http.StatusNotModified {
		resp.Body.Close()
		release()
		return nil, fmt.Errorf("%w: it redirects to %s", ErrNotKubernetes, limitedText(resp.Header.Get("Location")))
	}
	if kind == watching && resp.StatusCode == http.StatusOK {
		timer.Stop()
		timer = time.AfterFunc(watchLife(req), cancel)
	} else if kind == streaming {
		timer.Stop()
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, nil // the caller has the connection now; it ends with its context
	}
	if out.Header.Get("Accept-Encoding") != req.Header.Get("Accept-Encoding") {
		unpack(resp, w.bounds.Ratio)
	}
	if kind != streaming {
		release = w.meter(ctx, req, resp, kind, release)
	}
	resp.Body = &body{
		Reader: resp.Body, from: resp.Body, release: release, broke: trouble,
		ended: l.ctx, isStream: kind != plain, asked: req.Context(),
	}
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		return askLater(resp)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		trouble()
	}
	return resp, nil
}

type requestKind int

const (
	plain requestKind = iota
	watching
	streaming
)

func kindOf(req *http.Request) requestKind {
	query := req.URL.RawQuery
	switch {
	case strings.Contains(query, "watch=true"), strings.Contains(query, "watch=1"):
		return watching
	case strings.Contains(query, "follow=true"), req.Header.Get("Upgrade") != "":
		return streaming
	}
	return plain
}

// meter puts the answer under the member's bounds. The function is what to do when the body is closed.
func (w *wire) meter(
	ctx context.Context, req *http.Request, resp *http.Response, kind requestKind, release func(),
) func() {
	of, isCallers := leaseOf(req.Context(), w.budget)
	m := meter{most: w.bounds.Page, mostCost: w.bounds.most(), perBrace: costOfObject}
	switch {
	case resp.StatusCode >= 400:
		m.most = min(m.most, maxErrorBody)
	case kind == watching:
		m.isStream, m.most, m.mostCost = true, w.bounds.Event, w.bounds.most()/2
	}
	isProto := strings.Contains(resp.Header.Get("Content-Type"), "protobuf")
	if strings.Contains(req.Header.Get("Accept"), "protobuf") && !isProto {
		m.perBrace = costOfTyped // a typed client asks, and gets JSON
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{&metered{from: resp.Body, meter: m, lease: of, limiter: w.limiter, ctx: ctx, isProto: isProto}, resp.Body}
	return func() {
		if !isCallers || kind == watching {
			of.release()
		}
		release()
	}
}

// watchLife is how long a watch may live: what it asked for, and some grace. A server that neither sends nor ends would
// hold it for ever.
func watchLife(req *http.Request) time.Duration {
	seconds, err := strconv.Atoi(req.URL.Query().Get("timeoutSeconds"))
	if err != nil || seconds <= 0 {
		seconds = 3600
	}
	return time.Duration(seconds)*time.Second + watchGrace
}

// askLater turns "try again in n seconds" into a Status that says so. Left in the header, client-go would sleep inside
// the call and hold the caller.
func askLater(resp *http.Response) (*http.Response, error) {
	after := resp.Header.Get("Retry-After")
	seconds, err := strconv.Atoi(after)
	if err != nil || seconds < 0 {
		return resp, nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	resp.Body.Close()
	resp.Header.Del("Retry-After")
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure,
		Code:     int32(resp.StatusCode),
		Reason:   metav1.StatusReasonTooManyRequests,
		Message:  limitedText(string(text)),
		Details:  &metav1.StatusDetails{RetryAfterSeconds: int32(min(seconds, 3600))},
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		status.Reason = metav1.StatusReasonServiceUnavailable
	}
	var given metav1.Status
	if json.Unmarshal(text, &given) == nil && given.Kind == "Status" {
		status.Message = given.Message
	}
	raw, err := json.Marshal(status)
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	resp.Header.Set("Content-Type", "application/json")
	resp.Header.Del("Content-Encoding")
	resp.ContentLength = int64(len(raw))
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	return resp, nil
}

// body is the answer's body: reported when the connection breaks under it.
type body struct {
	io.Reader
	from     io.Closer
	release  func()
	broke    func()
	ended    context.Context // of the line
	asked    context.Context // of the request
	isStream bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	switch {
	case err == nil, err == io.EOF, errors.Is(err, ErrTooLarge):
	case b.isStream && b.ended.Err() != nil:
		err = io.EOF // the line was replaced; the watch goes on elsewhere
	case b.asked.Err() == nil:
		b.broke()
	}
	return n, err
}

func (b *body) Close() error {
	err := b.from.Close()
	b.release()
	return err
}

// timeoutError is a request that ran out of its time here, not in the member.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string   { return fmt.Sprintf("no answer within %s", e.after) }
func (e *timeoutError) Timeout() bool   { return true }
func (e *timeoutError) Temporary() bool { return true }

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// address is the request as sent: to the line's server, below its path.
func (l *line) address(req *http.Request) *http.Request {
	out := req.Clone(req.Context())
	out.Host = ""
	out.URL = &url.URL{Scheme: l.base.Scheme, Host: l.base.Host, Path: req.URL.Path, RawPath: req.URL.RawPath,
		RawQuery: req.URL.RawQuery}
	if prefix := strings.TrimSuffix(l.base.Path, "/"); prefix != "" {
		out.URL.Path = prefix + cleanPath(req.URL.Path)
		if req.URL.RawPath != "" {
			out.URL.RawPath = prefix + cleanPath(req.URL.RawPath)
		}
	}
	return out
}

// cleanPath has no way up, and ends in a slash if it did: below a pod's proxy that is another page.
func cleanPath(p string) string {
	clean := path.Join("/", p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

const maxText = 300

// limitedText makes what a member says fit to be shown: one line, safe, short.
func limitedText(s string) string { return printable.Line(s, maxText) }
