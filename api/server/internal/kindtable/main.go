//go:build generate

// Command kindtable writes the data of all native kinds that the hub serves beside the package that embeds it:
//
//	zz_kinds.json       what discovery says of each kind
//	zz_openapi_v2.json.gz  Kubernetes' own OpenAPI v2 document
//	zz_openapi_v3.zip   its OpenAPI v3 documents, one a group version
//
// It reads the files that k8s.io/kubernetes publishes, of the release in go.mod, so that the data cannot drift from the
// Go types. Of the documents it leaves out the paths that the hub does not serve, and adds the values that fields may
// have, which an API server serves and the files lack. Run it with go generate; the build tag keeps four megabytes of
// generated Go out of every other build.
package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// left names what the hub does not serve, with the reason.
var left = map[string]string{
	"bindings":          "nothing is scheduled on the hub",
	"componentstatuses": "the hub has no components of that kind",
	"apiservices":       "the hub does not aggregate other API servers",
}

// kept are the subresources that a template has; left out are those that talk to a running pod, or that only a kubelet or scheduler uses.
var kept = []string{"status", "scale", "finalize", "approval", "token"}

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatalf("kindtable: %v", err)
	}
}

func run() error {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	if err != nil {
		return fmt.Errorf("find the module k8s.io/kubernetes: %w", err)
	}
	api := filepath.Join(strings.TrimSpace(string(out)), "api")
	groups, err := readGroups(filepath.Join(api, "discovery"))
	if err != nil {
		return err
	}
	kinds, err := json.Marshal(groups)
	if err != nil {
		return fmt.Errorf("write kinds: %w", err)
	}
	if err := os.WriteFile("zz_kinds.json", append(kinds, '\n'), 0o644); err != nil {
		return err
	}
	paths := pathsOf(groups)
	if err := compressFile(filepath.Join(api, "openapi-spec", "swagger.json"), "zz_openapi_v2.json.gz", paths); err != nil {
		return err
	}
	return zipSpecs(filepath.Join(api, "openapi-spec", "v3"), groups, paths)
}

// readGroups returns core and all named groups, with the kinds and subresources that the hub serves.
func readGroups(dir string) ([]apidiscoveryv2.APIGroupDiscovery, error) {
	core, err := readCore(filepath.Join(dir, "api__v1.json"))
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "aggregated_v2.json"))
	if err != nil {
		return nil, err
	}
	var list apidiscoveryv2.APIGroupDiscoveryList
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("read aggregated discovery: %w", err)
	}
	var groups []apidiscoveryv2.APIGroupDiscovery
	for _, group := range append([]apidiscoveryv2.APIGroupDiscovery{core}, list.Items...) {
		if group = serve(group); len(group.Versions) > 0 {
			groups = append(groups, group)
		}
	}
	return groups, nil
}

// serve leaves stable versions, and of them what can be a template.
func serve(group apidiscoveryv2.APIGroupDiscovery) apidiscoveryv2.APIGroupDiscovery {
	var versions []apidiscoveryv2.APIVersionDiscovery
	for _, version := range group.Versions {
		if strings.Contains(version.Version, "alpha") || strings.Contains(version.Version, "beta") ||
			group.Name == "storagemigration.k8s.io" {
			continue
		}
		version.Resources = slices.DeleteFunc(version.Resources, func(r apidiscoveryv2.APIResourceDiscovery) bool {
			return left[r.Resource] != ""
		})
		for i := range version.Resources {
			r := &version.Resources[i]
			complete(group.Name, version.Version, r.ResponseKind)
			r.Subresources = slices.DeleteFunc(r.Subresources, func(s apidiscoveryv2.APISubresourceDiscovery) bool {
				return !slices.Contains(kept, s.Subresource)
			})
			for j := range r.Subresources {
				complete(group.Name, version.Version, r.Subresources[j].ResponseKind)
			}
		}
		if len(version.Resources) > 0 {
			versions = append(versions, version)
		}
	}
	group.Versions = versions
	return group
}

// complete fills in the group version that the file leaves out where it is the resource's own.
func complete(group, version string, kind *metav1.GroupVersionKind) {
	if kind.Group == "" && kind.Version == "" {
		kind.Group, kind.Version = group, version
	}
}

// readCore turns the old discovery of the core group, which has no aggregated file, into the new form.
func readCore(path string) (apidiscoveryv2.APIGroupDiscovery, error) {
	var group apidiscoveryv2.APIGroupDiscovery
	raw, err := os.ReadFile(path)
	if err != nil {
		return group, err
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(raw, &list); err != nil {
		return group, fmt.Errorf("read %s: %w", path, err)
	}
	version := apidiscoveryv2.APIVersionDiscovery{Version: "v1", Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent}
	for _, r := range list.APIResources {
		kind := &metav1.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
		resource, subresource, isSub := strings.Cut(r.Name, "/")
		if isSub {
			parent := &version.Resources[len(version.Resources)-1]
			if parent.Resource != resource {
				return group, fmt.Errorf("%s does not follow %s", r.Name, resource)
			}
			parent.Subresources = append(parent.Subresources, apidiscoveryv2.APISubresourceDiscovery{
				Subresource: subresource, ResponseKind: kind, Verbs: r.Verbs,
			})
			continue
		}
		scope := apidiscoveryv2.ScopeCluster
		if r.Namespaced {
			scope = apidiscoveryv2.ScopeNamespace
		}
		version.Resources = append(version.Resources, apidiscoveryv2.APIResourceDiscovery{
			Resource: r.Name, ResponseKind: kind, Scope: scope, SingularResource: r.SingularName, Verbs: r.Verbs,
			ShortNames: r.ShortNames, Categories: r.Categories,
		})
	}
	group.Versions = []apidiscoveryv2.APIVersionDiscovery{version}
	return group, nil
}

// compressFile writes source as it is served, compressed, to target.
func compressFile(source, target string, paths served) error {
	raw, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	dense, err := asServed(raw, paths, "definitions")
	if err != nil {
		return fmt.Errorf("read %s: %w", source, err)
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(dense); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(target, packed.Bytes(), 0o644)
}

// zipSpecs packs the v3 document of each served group version under its name in URLs, "apis/apps/v1".
func zipSpecs(dir string, groups []apidiscoveryv2.APIGroupDiscovery, paths served) error {
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	for _, group := range groups {
		for _, version := range group.Versions {
			name := "apis/" + group.Name + "/" + version.Version
			if group.Name == "" {
				name = "api/" + version.Version
			}
			raw, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(name, "/", "__")+"_openapi.json"))
			if err != nil {
				return err
			}
			dense, err := asServed(raw, paths, "components", "schemas")
			if err != nil {
				return fmt.Errorf("read OpenAPI of %s: %w", name, err)
			}
			// A fixed date keeps the file the same from run to run.
			header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Unix(0, 0).UTC()}
			w, err := archive.CreateHeader(header)
			if err != nil {
				return err
			}
			if _, err := w.Write(dense); err != nil {
				return err
			}
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return os.WriteFile("zz_openapi_v3.zip", packed.Bytes(), 0o644)
}
