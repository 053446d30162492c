package enroll

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// AccountName is the name of everything that Join makes in a member, except the namespace.
const AccountName = "hanse-hub"

// Annotations of the membership.
const (
	// HubAnnotation on the ClusterRole in the member is the id of the hub: the UID of its kube-system namespace.
	HubAnnotation = v1alpha1.Prefix + "joined-hub"
	// HubServerAnnotation on the ClusterRole in the member is the URL of the hub, for people.
	HubServerAnnotation = v1alpha1.Prefix + "joined-hub-server"
	// NameAnnotation on the ClusterRole in the member is the name of the Cluster on the hub.
	NameAnnotation = v1alpha1.Prefix + "joined-as"

	// ClusterUIDAnnotation on the Cluster and its Secret is the UID of the member's kube-system namespace.
	ClusterUIDAnnotation = v1alpha1.Prefix + "cluster-uid"
	// TokenIssuedAnnotation and TokenExpiresAnnotation on the Secret are the times of its token (RFC 3339).
	TokenIssuedAnnotation = v1alpha1.Prefix + "token-issued"
	// TokenExpiresAnnotation, see TokenIssuedAnnotation.
	TokenExpiresAnnotation = v1alpha1.Prefix + "token-expires"
)

// TokenKey is the key of the token in the Secret.
const TokenKey = "token"

// mark says whose member a cluster is.
type mark struct{ hub, server, name string }

func markOf(obj metav1.Object) mark {
	a := obj.GetAnnotations()
	return mark{hub: a[HubAnnotation], server: a[HubServerAnnotation], name: a[NameAnnotation]}
}

func (m mark) annotations() map[string]string {
	return map[string]string{HubAnnotation: m.hub, HubServerAnnotation: m.server, NameAnnotation: m.name}
}

// String names the hub for people.
func (m mark) String() string {
	if m.server == "" {
		return fmt.Sprintf("the hub %s", m.hub)
	}
	return fmt.Sprintf("the hub %s (%s)", m.server, m.hub)
}

// stamp writes a time into an annotation.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
