package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// maxName is the longest name of an object (RFC 1123 subdomain).
const maxName = 253

// DistributionName returns the name of the Distribution of a template: "<kind>.<group>-<name>", without the dot
// for the core group, for example "deployment.apps-web" or "configmap-settings". A name that would be too long, or
// has characters that only some kinds allow (such as the colons of RBAC), ends in a hash instead.
func DistributionName(kind schema.GroupKind, name string) string {
	prefix := strings.ToLower(kind.Kind)
	if kind.Group != "" {
		prefix += "." + kind.Group
	}
	full := prefix + "-" + name
	if len(full) <= maxName && isSubdomain(name) {
		return full
	}
	sum := sha256.Sum256([]byte(full))
	short := prefix
	if len(short) > maxName-33 {
		short = strings.TrimRight(short[:maxName-33], ".-") // a label cannot be empty before the hash
	}
	return short + "-" + hex.EncodeToString(sum[:16])
}

// DistributionNamespace returns the namespace of the Distribution of a template in the given namespace, which is
// empty for a cluster-scoped template.
func DistributionNamespace(template string) string {
	if template == "" {
		return SystemNamespace
	}
	return template
}

// isSubdomain tells whether a name may end an RFC 1123 subdomain.
func isSubdomain(name string) bool {
	for _, label := range strings.Split(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	return true
}
