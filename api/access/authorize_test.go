package access

import (
	"context"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// janeReads allows jane to get pods.
type janeReads struct{ authorizer.Authorizer }

func (janeReads) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser().GetName() == "jane" && a.GetVerb() == "get" && a.GetResource() == "pods" {
		return authorizer.DecisionAllow, "jane reads", nil
	}
	return authorizer.DecisionNoOpinion, "nobody said so", nil
}

func TestAuthorizer(t *testing.T) {
	jane := &user.DefaultInfo{Name: "jane", Groups: []string{user.AllAuthenticated}}
	root := &user.DefaultInfo{Name: "root", Groups: []string{Superusers}}
	anonymous := &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}
	pods := func(u user.Info, verb string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{User: u, Verb: verb, Resource: "pods", ResourceRequest: true}
	}
	path := func(u user.Info, path string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{User: u, Verb: "get", Path: path}
	}
	tests := []struct {
		name   string
		ask    authorizer.AttributesRecord
		allows bool
	}{
		{"superuser deletes", pods(root, "delete"), true},
		{"RBAC allows", pods(jane, "get"), true},
		{"RBAC does not", pods(jane, "delete"), false},
		{"anonymous at an open path", path(anonymous, "/healthz"), true},
		{"anonymous below an open path", path(anonymous, "/open/a/b"), true},
		{"anonymous elsewhere", path(anonymous, "/metrics"), false},
		{"a resource is no path", authorizer.AttributesRecord{
			User: anonymous, Verb: "get", Path: "/healthz", ResourceRequest: true}, false},
	}
	all, err := NewAuthorizer(AuthorizerOptions{RBAC: janeReads{}, AlwaysAllowPaths: []string{"/healthz", "/open/*"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			decision, reason, err := all.Authorize(context.Background(), test.ask)
			if err != nil || (decision == authorizer.DecisionAllow) != test.allows {
				t.Errorf("decision %v (%s), %v", decision, reason, err)
			}
		})
	}
	if _, ok := all.(authorizer.RuleResolver); !ok {
		t.Errorf("the authorizer cannot tell what a user may do")
	}
	if _, err := NewAuthorizer(AuthorizerOptions{AlwaysAllowPaths: []string{"/a*b"}}); err == nil {
		t.Errorf("a * in the middle of a path was taken")
	}
}
