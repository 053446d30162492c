package access

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

// noPrefix as a prefix means that names are taken as the issuer gives them, as in kube-apiserver's flags.
const noPrefix = "-"

// OIDCOptions names one OpenID Connect issuer; the fields mean what kube-apiserver's --oidc-* flags mean.
type OIDCOptions struct {
	// IssuerURL is the issuer's https URL, equal to the "iss" claim of its tokens.
	IssuerURL string
	// ClientID must be in the "aud" claim.
	ClientID string
	// UsernameClaim holds the user's name; "" means "sub". With "email", "email_verified" must not be false.
	UsernameClaim string
	// GroupsClaim holds the groups: a text or a list of texts; "" means that tokens give no groups.
	GroupsClaim string
	// UsernamePrefix is put before names; "" means the issuer URL and "#" (nothing for "email"), "-" nothing.
	UsernamePrefix string
	// GroupsPrefix is put before groups; "" and "-" mean nothing. Without one an issuer can name system:masters.
	GroupsPrefix string
	// CAFile holds the certificates that the issuer's server is verified with; "" means the machine's.
	CAFile string
}

// newOIDC starts the token verifier. It does not wait for the issuer: until its keys are fetched, tokens are refused.
func newOIDC(ctx context.Context, opts OIDCOptions) (authenticator.Token, error) {
	usernamePrefix, groupsPrefix := opts.usernamePrefix(), opts.groupsPrefix()
	mappings := apiserver.ClaimMappings{
		Username: apiserver.PrefixedClaimOrExpression{Claim: opts.usernameClaim(), Prefix: &usernamePrefix},
	}
	if opts.GroupsClaim != "" {
		mappings.Groups = apiserver.PrefixedClaimOrExpression{Claim: opts.GroupsClaim, Prefix: &groupsPrefix}
	}
	verifier := oidc.Options{JWTAuthenticator: apiserver.JWTAuthenticator{
		Issuer:        apiserver.Issuer{URL: opts.IssuerURL, Audiences: []string{opts.ClientID}},
		ClaimMappings: mappings,
	}}
	if opts.CAFile != "" {
		ca, err := dynamiccertificates.NewDynamicCAContentFromFile("oidc-ca", opts.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificates of the OIDC issuer: %w", err)
		}
		verifier.CAContentProvider = ca
	}
	token, err := oidc.New(ctx, verifier)
	if err != nil {
		return nil, fmt.Errorf("set up the OIDC issuer %q: %w", opts.IssuerURL, err)
	}
	return token, nil
}

func (o OIDCOptions) usernameClaim() string {
	if o.UsernameClaim == "" {
		return "sub"
	}
	return o.UsernameClaim
}

func (o OIDCOptions) usernamePrefix() string {
	switch {
	case o.UsernamePrefix == noPrefix:
		return ""
	case o.UsernamePrefix != "":
		return o.UsernamePrefix
	case o.usernameClaim() == "email":
		return ""
	}
	return o.IssuerURL + "#"
}

func (o OIDCOptions) groupsPrefix() string {
	if o.GroupsPrefix == noPrefix {
		return ""
	}
	return o.GroupsPrefix
}
