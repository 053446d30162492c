//go:build generate

package main

import (
	"encoding/json"
	"fmt"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
)

// served are the paths of a hub.
type served map[string]bool

// pathsOf returns what groups serve: every group version, kind and subresource.
func pathsOf(groups []apidiscoveryv2.APIGroupDiscovery) served {
	// Beside the kinds, what api/server has a route for.
	out := served{"api": true, "apis": true, "version": true, ".well-known/openid-configuration": true, "openid/v1/jwks": true}
	for _, group := range groups {
		for _, version := range group.Versions {
			base := "apis/" + group.Name + "/" + version.Version
			if group.Name == "" {
				base = "api/" + version.Version
			} else {
				out["apis/"+group.Name] = true
			}
			out[base] = true
			for _, r := range version.Resources {
				out[base+"/"+r.Resource] = true
				for _, sub := range r.Subresources {
					out[base+"/"+r.Resource+"/"+sub.Subresource] = true
				}
			}
		}
	}
	return out
}

// keep takes out of the paths of a document those that are not served.
func (s served) keep(paths map[string]json.RawMessage) {
	for path := range paths {
		if !s[kindOf(path)] {
			delete(paths, path)
		}
	}
}

// kindOf returns what a path is about: its group version, kind and subresource, without names.
func kindOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	prefix := 2 // api/v1
	if parts[0] == "apis" {
		prefix = 3 // apis/apps/v1
	}
	if parts[0] != "api" && parts[0] != "apis" || len(parts) <= prefix {
		return strings.Join(parts, "/")
	}
	base, rest := strings.Join(parts[:prefix], "/"), parts[prefix:]
	if rest[0] == "watch" {
		rest = rest[1:]
	}
	if rest[0] == "namespaces" && len(rest) > 2 && rest[1] == "{namespace}" {
		rest = rest[2:]
	}
	kind := base + "/" + rest[0]
	if len(rest) > 2 { // below the name
		kind += "/" + strings.Join(rest[2:], "/")
	}
	return kind
}

// asServed returns an OpenAPI document as a hub serves it. schemas is where the document has them.
func asServed(raw []byte, paths served, schemas ...string) ([]byte, error) {
	var document map[string]json.RawMessage
	if err := json.Unmarshal(raw, &document); err != nil {
		return nil, err
	}
	var kept map[string]json.RawMessage
	if err := json.Unmarshal(document["paths"], &kept); err != nil {
		return nil, fmt.Errorf("read paths: %w", err)
	}
	paths.keep(kept)
	if err := put(document, "paths", kept); err != nil {
		return nil, err
	}
	if err := within(document, schemas, addEnums); err != nil {
		return nil, err
	}
	return json.Marshal(document)
}

// within changes what lies at a path of a document.
func within(document map[string]json.RawMessage, path []string, change func(map[string]json.RawMessage) error) error {
	if len(path) == 0 {
		return change(document)
	}
	var part map[string]json.RawMessage
	if err := json.Unmarshal(document[path[0]], &part); err != nil {
		return fmt.Errorf("read %s: %w", path[0], err)
	}
	if err := within(part, path[1:], change); err != nil {
		return err
	}
	return put(document, path[0], part)
}

func put(document map[string]json.RawMessage, name string, part map[string]json.RawMessage) error {
	raw, err := json.Marshal(part)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	document[name] = raw
	return nil
}
