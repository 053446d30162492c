package nameserver

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// forwarder takes updates of zones (RFC 2136) to the hub, which stores them. It checks the signature again: this server
// answers for nobody.
type forwarder struct {
	url    string
	client *http.Client
}

// maxMessage is the longest message, in octets.
const maxMessage = 65535

// Forward implements dns/server.Forwarder.
func (f *forwarder) Forward(ctx context.Context, message []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(message))
	if err != nil {
		return nil, fmt.Errorf("asking the hub: %w", err)
	}
	req.Header.Set("Content-Type", "application/dns-message")
	response, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the hub: %w", err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, maxMessage))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking the hub: %w", err)
	case response.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("the hub does not let the account of this server do that; hanse dns kubeconfig gives it the right: %s",
			strings.TrimSpace(string(said)))
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("asking the hub: %s: %s", response.Status, strings.TrimSpace(string(said)))
	}
	return said, nil
}
