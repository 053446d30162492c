package server

import (
	"context"
	"errors"
	"net/http"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

// answerToken says whom a token stands for, as the hub itself would find when the token is presented.
func (s *Server) answerToken(ctx context.Context, obj runtime.Object) error {
	review := obj.(*authenticationv1.TokenReview)
	if review.Spec.Token == "" {
		return apierrors.NewBadRequest("token is required for TokenReview in authentication")
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, "/", nil)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	req.Header.Set("Authorization", "Bearer "+review.Spec.Token)
	audiences := authenticator.Audiences(review.Spec.Audiences)
	if len(audiences) > 0 {
		req = req.WithContext(authenticator.WithAudiences(req.Context(), audiences))
	}
	review.Status = authenticationv1.TokenReviewStatus{}
	found, ok, err := s.access.Authenticator.AuthenticateRequest(req)
	switch {
	case err != nil:
		review.Status.Error = err.Error()
		return nil
	case !ok || found.User == nil || slices.Contains(found.User.GetGroups(), user.AllUnauthenticated):
		return nil
	case len(audiences) > 0 && len(found.Audiences) > 0 && len(audiences.Intersect(found.Audiences)) == 0:
		return apierrors.NewInternalError(errors.New("the authenticator recognised the token for an audience that was not asked for"))
	}
	review.Status.Authenticated = true
	review.Status.Audiences = found.Audiences
	review.Status.User = userInfo(found.User)
	return nil
}

// userInfo is who somebody is, as the API tells it.
func userInfo(of user.Info) authenticationv1.UserInfo {
	out := authenticationv1.UserInfo{Username: of.GetName(), UID: of.GetUID(), Groups: of.GetGroups()}
	for key, values := range of.GetExtra() {
		if out.Extra == nil {
			out.Extra = map[string]authenticationv1.ExtraValue{}
		}
		out.Extra[key] = values
	}
	return out
}

// TokenPublisher is a TokenIssuer whose tokens others can verify.
type TokenPublisher interface {
	// KeySet is a JSON Web Key Set, Discovery the OpenID Connect configuration for who reached the hub as host.
	KeySet() []byte
	Discovery(host string) ([]byte, error)
}

// serveKeySet answers /openid/v1/jwks.
func (s *Server) serveKeySet(w http.ResponseWriter, req *http.Request) {
	s.servePublished(w, req, "application/jwk-set+json", func(p TokenPublisher) ([]byte, error) { return p.KeySet(), nil })
}

// serveDiscovery answers /.well-known/openid-configuration.
func (s *Server) serveDiscovery(w http.ResponseWriter, req *http.Request) {
	s.servePublished(w, req, "application/json", func(p TokenPublisher) ([]byte, error) { return p.Discovery(req.Host) })
}

func (s *Server) servePublished(w http.ResponseWriter, req *http.Request, mediaType string,
	what func(TokenPublisher) ([]byte, error)) {
	publisher, ok := s.access.Tokens.(TokenPublisher)
	if !ok {
		notFound(w, req)
		return
	}
	body, err := what(publisher)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(body)
}
