package hub

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/api/native"
	"github.com/hanse-federation/hanse/api/v1alpha1"
)

func (h *Hub) federationReady(*http.Request) error {
	f := h.federation.Load()
	if f == nil {
		return errors.New("the federation is being built")
	}
	return f.Ready()
}

// nativeControllers keep the hub's own objects in order: content of namespaces that end, objects whose owner is gone,
// and aggregated roles. What is followed already is not watched once more.
func nativeControllers(loopback *rest.Config, followed native.Informers, rootCA []byte) []func(context.Context) error {
	distributions := schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "distributions"}
	return []func(context.Context) error{
		func(ctx context.Context) error { return native.RunNamespaceController(ctx, loopback) },
		func(ctx context.Context) error {
			return native.RunGarbageCollector(ctx, loopback, followed, distributions)
		},
		func(ctx context.Context) error { return native.RunClusterRoleAggregation(ctx, loopback) },
		func(ctx context.Context) error { return native.RunNamespaceFurnishing(ctx, loopback, rootCA) },
	}
}

// dnsServers are the addresses that name server records can carry: none if DNS is served on all addresses.
func dnsServers(addr netip.Addr) []string {
	if !addr.IsValid() || addr.IsUnspecified() {
		return nil
	}
	return []string{addr.String()}
}

// The version of Kubernetes whose API the hub serves; that of k8s.io/api in go.mod.
const kubernetesMajor = "1"

// Version is what /version answers: the Kubernetes version whose API is served, with Hanse in the build part.
func Version() version.Info {
	minor, patch := "0", "0"
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, module := range build.Deps {
			if module.Path != "k8s.io/api" {
				continue
			}
			used := module.Version
			if module.Replace != nil {
				used = module.Replace.Version
			}
			parts := strings.Split(strings.TrimPrefix(used, "v"), ".")
			if len(parts) >= 3 {
				minor, patch = parts[1], parts[2]
			}
		}
	}
	return version.Info{
		Major:      kubernetesMajor,
		Minor:      minor,
		GitVersion: "v" + kubernetesMajor + "." + minor + "." + patch + "+hanse",
		GoVersion:  runtime.Version(),
		Compiler:   runtime.Compiler,
		Platform:   runtime.GOOS + "/" + runtime.GOARCH,
	}
}
