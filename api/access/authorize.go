package access

import (
	"fmt"

	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/authorization/path"
	"k8s.io/apiserver/pkg/authorization/union"
)

// AuthorizerOptions names what may allow a request.
type AuthorizerOptions struct {
	// RBAC evaluates the hub's roles and bindings; nil means that superusers alone may do anything.
	RBAC authorizer.Authorizer
	// AlwaysAllowPaths are non-resource paths open to everyone, anonymous included; a trailing * matches any rest.
	AlwaysAllowPaths []string
}

// NewAuthorizer returns an authorizer that is also an authorizer.RuleResolver, for those in the chain that are. It asks
// in this order, and the first that allows ends it. Nothing denies: what nobody allows is forbidden, with RBAC's
// reason.
//
//  1. superusers: before RBAC, so that no mistake in roles can lock an administrator out;
//  2. open paths;
//  3. RBAC.
func NewAuthorizer(opts AuthorizerOptions) (authorizer.Authorizer, error) {
	chain := []union.NamedAuthorizer{
		{AuthorizerName: "superusers", Authorizer: authorizerfactory.NewPrivilegedGroups(Superusers)},
	}
	if len(opts.AlwaysAllowPaths) > 0 {
		open, err := path.NewAuthorizer(opts.AlwaysAllowPaths)
		if err != nil {
			return nil, fmt.Errorf("read the paths open to everyone: %w", err)
		}
		chain = append(chain, union.NamedAuthorizer{AuthorizerName: "open-paths", Authorizer: open})
	}
	if opts.RBAC != nil {
		chain = append(chain, union.NamedAuthorizer{AuthorizerName: "rbac", Authorizer: opts.RBAC})
	}
	all, err := union.New(chain...)
	if err != nil {
		return nil, fmt.Errorf("join authorizers: %w", err)
	}
	return allower{Authorizer: all, RuleResolver: union.NewRuleResolvers(ruleResolvers(chain)...)}, nil
}

// allower can also tell what a user may do, for SelfSubjectRulesReview (kubectl auth can-i --list).
type allower struct {
	authorizer.Authorizer
	authorizer.RuleResolver
}

func ruleResolvers(chain []union.NamedAuthorizer) []authorizer.RuleResolver {
	var resolvers []authorizer.RuleResolver
	for _, link := range chain {
		if resolver, ok := link.Authorizer.(authorizer.RuleResolver); ok {
			resolvers = append(resolvers, resolver)
		}
	}
	return resolvers
}
