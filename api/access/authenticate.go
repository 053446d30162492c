package access

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	"k8s.io/apiserver/pkg/authentication/request/websocket"
	x509request "k8s.io/apiserver/pkg/authentication/request/x509"
	tokencache "k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	tokenunion "k8s.io/apiserver/pkg/authentication/token/union"
)

// tokenTrust is how long a bearer token that convinced is trusted without looking again; what is taken back (a deleted
// ServiceAccount) works that much longer. It is what kube-apiserver uses.
const tokenTrust = 10 * time.Second

// ClientCA says what makes a client certificate valid at this moment. *PKI is one; so are the CA providers of
// k8s.io/apiserver, which follow a file.
type ClientCA interface {
	VerifyOptions() (opts x509.VerifyOptions, ok bool)
}

// AuthenticatorOptions names the ways a caller may say who it is. A zero field is a way that is not open.
type AuthenticatorOptions struct {
	// ClientCA verifies client certificates: common name is the user, organizations are its groups.
	ClientCA ClientCA
	// TokenFile is a CSV file of static tokens: token,user,uid[,"group,group"]. It is read once.
	TokenFile string
	// ServiceAccounts verifies ServiceAccount tokens.
	ServiceAccounts authenticator.Token
	// OIDC verifies tokens of an OpenID Connect issuer.
	OIDC *OIDCOptions
	// Anonymous lets requests without any credentials in as system:anonymous. Wrong credentials are refused still.
	Anonymous bool
}

// NewAuthenticator joins the ways that opts opens. The first that recognises the request decides; one that finds its
// credentials wrong does not keep the next from trying. Whoever is recognised is in system:authenticated.
//
// ctx is the life of background work: the OIDC issuer's keys are fetched until it ends.
func NewAuthenticator(ctx context.Context, opts AuthenticatorOptions) (authenticator.Request, error) {
	tokens, err := tokenAuthenticators(ctx, opts)
	if err != nil {
		return nil, err
	}
	var ways []authenticator.Request
	if opts.ClientCA != nil {
		ways = append(ways, x509request.NewDynamic(opts.ClientCA.VerifyOptions, x509request.CommonNameUserConversion))
	}
	// Also without any token authenticator: a token that nobody knows is a wrong one, not a missing one.
	token := tokencache.New(tokenunion.New(tokens...), true, tokenTrust, 0)
	ways = append(ways, bearertoken.New(token), websocket.NewProtocolAuthenticator(token))
	known := group.NewAuthenticatedGroupAdder(union.New(ways...))
	if !opts.Anonymous {
		return known, nil
	}
	return union.NewFailOnError(known, anonymous.NewAuthenticator(nil)), nil
}

func tokenAuthenticators(ctx context.Context, opts AuthenticatorOptions) ([]authenticator.Token, error) {
	var tokens []authenticator.Token
	if opts.TokenFile != "" {
		file, err := tokenfile.NewCSV(opts.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("read the token file %s: %w", opts.TokenFile, err)
		}
		tokens = append(tokens, file)
	}
	if opts.ServiceAccounts != nil {
		tokens = append(tokens, opts.ServiceAccounts)
	}
	if opts.OIDC != nil {
		issuer, err := newOIDC(ctx, *opts.OIDC)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, issuer)
	}
	return tokens, nil
}
