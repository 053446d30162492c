package enroll

import (
	"fmt"
	"net/http"

	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/api/printable"
)

// RefuseRedirects has every client that is made from the configuration refuse redirects. No Kubernetes API answers with
// one, and a client that follows takes the request, and on the same host also the credentials, to where somebody else
// wants them.
func RefuseRedirects(config *rest.Config) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return stayer{next} })
}

// stayer is a transport that does not go elsewhere.
type stayer struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s stayer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if code := resp.StatusCode; code >= 300 && code < 400 && code != http.StatusNotModified {
		_ = resp.Body.Close()
		return nil, &redirectError{code: code, to: resp.Header.Get("Location")}
	}
	return resp, nil
}

// WrappedRoundTripper lets client-go find the transport below.
func (s stayer) WrappedRoundTripper() http.RoundTripper { return s.next }

// redirectError is an answer that leads elsewhere.
type redirectError struct {
	code int
	to   string
}

// Error implements error.
func (e *redirectError) Error() string {
	return fmt.Sprintf("status %d, to %q", e.code, printable.Line(e.to, 200))
}
