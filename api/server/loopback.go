package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// errClosed is what a request over Loopback gets after Close.
var errClosed = errors.New("the API server is closed")

// inProcess is the transport of Loopback: a request is a call of the handler.
//
// Short answers are collected and handed over whole. A handler that flushes is streaming, which for us means watching:
// then the answer is handed over at the first flush and the rest goes through a pipe.
type inProcess struct {
	mu      sync.RWMutex
	handler http.Handler
	done    chan struct{}
}

func (t *inProcess) serve(handler http.Handler) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handler, t.done = handler, make(chan struct{})
}

func (t *inProcess) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.handler != nil {
		close(t.done)
		t.handler = nil
	}
}

// RoundTrip implements http.RoundTripper.
func (t *inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	t.mu.RLock()
	handler, done := t.handler, t.done
	t.mu.RUnlock()
	if handler == nil {
		return nil, errClosed
	}
	ctx, cancel := context.WithCancel(valueless{req.Context()})
	inner := req.Clone(ctx)
	inner.RequestURI = req.URL.RequestURI()
	inner.RemoteAddr = "127.0.0.1:0"
	inner.Proto, inner.ProtoMajor, inner.ProtoMinor = "HTTP/2.0", 2, 0
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	if inner.Host == "" {
		inner.Host = req.URL.Host
	}
	answer := &answer{req: req, header: http.Header{}, cancel: cancel, out: make(chan *http.Response, 1)}
	go func() {
		defer cancel()
		defer func() { _ = inner.Body.Close() }()
		defer answer.finish()
		handler.ServeHTTP(answer, inner)
	}()
	select {
	case resp := <-answer.out:
		if resp == nil {
			return nil, fmt.Errorf("%s %s: the handler gave up", req.Method, req.URL.Path)
		}
		return resp, nil
	case <-ctx.Done():
		// The handler may have answered in the same moment.
		select {
		case resp := <-answer.out:
			if resp != nil {
				return resp, nil
			}
		default:
		}
		return nil, ctx.Err()
	case <-done:
		cancel()
		return nil, errClosed
	}
}

// valueless is a context that ends with another, but knows nothing of it. A handler that calls Loopback with the
// context of its own request must not hand on that request's user, audit event and what else the filters keep there:
// over a socket it could not either.
type valueless struct{ context.Context }

// Value implements context.Context.
func (valueless) Value(any) any { return nil }

// answer is the http.ResponseWriter of one call.
type answer struct {
	req    *http.Request
	header http.Header
	cancel context.CancelFunc
	out    chan *http.Response // gets exactly one

	status int
	buffer bytes.Buffer
	pipe   *io.PipeWriter // not nil once streaming
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.pipe != nil {
		return a.pipe.Write(p)
	}
	return a.buffer.Write(p)
}

// Flush implements http.Flusher.
func (a *answer) Flush() {
	a.WriteHeader(http.StatusOK)
	if a.pipe != nil {
		return
	}
	reader, writer := io.Pipe()
	a.pipe = writer
	collected := bytes.NewReader(bytes.Clone(a.buffer.Bytes()))
	a.hand(&streamBody{Reader: io.MultiReader(collected, reader), pipe: reader, cancel: a.cancel}, -1)
}

// CloseNotify implements http.CloseNotifier, which the filters take as the sign of a writer that can flush.
func (a *answer) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(a.req.Context(), func() { gone <- true })
	return gone
}

// finish hands over what was collected, or ends the stream. A handler that panics to abort leaves no answer.
func (a *answer) finish() {
	if aborted := recover(); aborted != nil {
		if a.pipe != nil {
			_ = a.pipe.CloseWithError(io.ErrUnexpectedEOF)
			return
		}
		a.out <- nil
		return
	}
	if a.pipe != nil {
		_ = a.pipe.Close()
		return
	}
	a.WriteHeader(http.StatusOK)
	a.hand(io.NopCloser(bytes.NewReader(a.buffer.Bytes())), int64(a.buffer.Len()))
}

func (a *answer) hand(body io.ReadCloser, length int64) {
	a.out <- &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Header: a.header.Clone(), Body: body,
		ContentLength: length, Request: a.req, Proto: "HTTP/2.0", ProtoMajor: 2,
	}
}

// streamBody is the body of a streamed answer. Closing it tells the handler that nobody listens any more.
type streamBody struct {
	io.Reader
	pipe   *io.PipeReader
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (b *streamBody) Close() error {
	b.cancel()
	return b.pipe.Close()
}
