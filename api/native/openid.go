package native

import (
	"encoding/json"
	"fmt"

	"k8s.io/kubernetes/pkg/serviceaccount"
)

// published is what others need to verify tokens of the hub (OpenID Connect Discovery 1.0).
type published struct {
	keySet        []byte
	configuration map[string]any
}

func newPublished(keys serviceaccount.PublicKeysGetter) (*published, error) {
	// Upstream wants an issuer that is a URL; the issuer of the hub is a name, which is filled in below.
	provider, err := serviceaccount.NewOpenIDMetadataProvider("https://hub", "https://hub/openid/v1/jwks", "hub:443", keys)
	if err != nil {
		return nil, fmt.Errorf("publish the keys of ServiceAccount tokens: %w", err)
	}
	p := &published{}
	p.keySet, _ = provider.GetKeysetJSON()
	raw, _ := provider.GetConfigJSON()
	if err := json.Unmarshal(raw, &p.configuration); err != nil {
		return nil, fmt.Errorf("publish the keys of ServiceAccount tokens: %w", err)
	}
	p.configuration["issuer"] = TokenIssuer
	return p, nil
}

// KeySet returns the public keys that tokens of the hub are verified with, as a JSON Web Key Set (RFC 7517).
func (t *ServiceAccountTokens) KeySet() []byte { return t.published.keySet }

// Discovery returns the OpenID Connect configuration of the issuer of the tokens, for who reached the hub as host.
func (t *ServiceAccountTokens) Discovery(host string) ([]byte, error) {
	out := map[string]any{}
	for key, value := range t.published.configuration {
		out[key] = value
	}
	out["jwks_uri"] = "https://" + host + "/openid/v1/jwks"
	return json.Marshal(out)
}
