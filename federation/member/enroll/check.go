package enroll

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// The minors of Kubernetes 1 that a member may have: the last five. A newer one is let in with a remark, because a
// member may be upgraded before the hub is.
const (
	OldestMinor = 33
	NewestMinor = 37
)

// requestTimeout bounds every single request of a join.
const requestTimeout = 10 * time.Second

// party is one of the two sides of a membership.
type party struct {
	client.Client
	config *rest.Config
	// what names it for people.
	what string
	// uid of its kube-system namespace.
	uid string
}

func newParty(config *rest.Config, role string) (*party, error) {
	config = rest.CopyConfig(config)
	config.Timeout = requestTimeout
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, &Problem{Reason: BadRequest,
			What: fmt.Sprintf("the kubeconfig for the %s names a file that cannot be read", role),
			Next: "Check certificate-authority, client-certificate and client-key in it.", Err: err}
	}
	c, err := NewClient(config)
	if err != nil {
		return nil, &Problem{Reason: BadRequest, What: fmt.Sprintf("the kubeconfig for the %s cannot be used", role),
			Next: "Check it with kubectl --kubeconfig FILE version.", Err: err}
	}
	return &party{Client: c, config: config, what: fmt.Sprintf("the %s at %s", role, config.Host)}, nil
}

// identify reads the UID that tells clusters apart.
func (p *party) identify(ctx context.Context) error {
	var ns corev1.Namespace
	if err := p.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, &ns); err != nil {
		return Diagnose(p.what, err)
	}
	p.uid = string(ns.UID)
	return nil
}

// checkName refuses what cannot be a label of DNS names.
func checkName(name string) error {
	if faults := validation.IsDNS1123Label(name); len(faults) > 0 {
		return &Problem{Reason: BadName,
			What: fmt.Sprintf("%q cannot be the name of a cluster: it becomes part of DNS names", name),
			Next: "Choose a name of at most 63 of a-z, 0-9 and -, that begins and ends with a letter or digit, " +
				"such as east or eu-west-1."}
	}
	return nil
}

// checkCredentials sees a client certificate that has ended before the server answers it with a bare 401.
func checkCredentials(config *rest.Config, now time.Time) error {
	block, _ := pem.Decode(config.CertData)
	if block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !now.After(cert.NotAfter) {
		return nil // the server says what is wrong with it
	}
	return &Problem{Reason: ExpiredCredentials,
		What: fmt.Sprintf("the client certificate in the kubeconfig for %s ended on %s", config.Host, stamp(cert.NotAfter)),
		Next: "Get a new kubeconfig from whoever runs the cluster."}
}

// checkVersion asks for the version: the first request, so reachability and trust show here.
func checkVersion(ctx context.Context, member *party, report func(string)) error {
	d, err := discovery.NewDiscoveryClientForConfig(member.config)
	if err != nil {
		return fmt.Errorf("making a client for %s: %w", member.what, err)
	}
	raw, err := d.RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	var answered apierrors.APIStatus
	if err != nil && (!errors.As(err, &answered) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)) {
		return Diagnose(member.what, err)
	}
	var info version.Info
	if err == nil {
		err = json.Unmarshal(raw, &info)
	}
	minor, parseErr := strconv.Atoi(strings.TrimRight(info.Minor, "+"))
	if err != nil || parseErr != nil || info.Major != "1" {
		return &Problem{Reason: NotKubernetes,
			What: fmt.Sprintf("what answers at %s is not the API server of a Kubernetes cluster", member.config.Host),
			Next: "Check the address in the kubeconfig: a load balancer, a proxy or a login page may stand there.", Err: err}
	}
	if minor < OldestMinor {
		return &Problem{Reason: Unsupported,
			What: fmt.Sprintf("%s is Kubernetes %s; members need 1.%d or newer", member.what, info.GitVersion, OldestMinor),
			Next: "Upgrade the cluster first."}
	}
	if minor > NewestMinor {
		report(fmt.Sprintf("note: Kubernetes %s is newer than this version of Hanse knows (1.%d)",
			info.GitVersion, NewestMinor))
	}
	return nil
}

// checkHub asks the hub for what it has, which also tells whether it is one.
func checkHub(ctx context.Context, hub *party) (*v1alpha1.ClusterList, error) {
	var clusters v1alpha1.ClusterList
	err := hub.List(ctx, &clusters)
	if apierrors.IsNotFound(err) {
		return nil, &Problem{Reason: NotHanse,
			What: fmt.Sprintf("%s is not a hub: it does not serve %s", hub.what, v1alpha1.GroupVersion),
			Next: "Name the hub with --kubeconfig (its admin.kubeconfig is in its data directory), --context or KUBECONFIG."}
	}
	if err != nil {
		return nil, Diagnose(hub.what, err)
	}
	return &clusters, hub.identify(ctx)
}

// checkIdentity refuses a cluster that is a member already, by what hub and member say. It returns the Cluster to
// renew, if that is asked for.
func checkIdentity(ctx context.Context, hub, member *party, clusters *v1alpha1.ClusterList, req Request) (
	*v1alpha1.Cluster, error) {

	if member.uid == hub.uid {
		return nil, &Problem{Reason: IsHub, What: "the kubeconfig for the cluster is that of the hub itself",
			Next: "Name the cluster that is to join with --cluster-kubeconfig and --cluster-context."}
	}
	var renew *v1alpha1.Cluster
	for i := range clusters.Items {
		c := &clusters.Items[i]
		switch sameCluster, sameName := uidOf(c) == member.uid, c.Name == req.Name; {
		case sameCluster && sameName && req.Renew:
			renew = c
		case sameCluster && sameName:
			return nil, &Problem{Reason: AlreadyJoined,
				What: fmt.Sprintf("the cluster at %s has joined this hub as %s already", member.config.Host, c.Name),
				Next: fmt.Sprintf("Nothing to do. To renew its account and token: hanse join %s --renew "+
					"with the same options.", c.Name)}
		case sameCluster:
			return nil, &Problem{Reason: AlreadyJoined,
				What: fmt.Sprintf("the cluster at %s has joined this hub under the name %s already", member.config.Host, c.Name),
				Next: fmt.Sprintf("Use that name, or let it leave first: hanse unjoin %s", c.Name)}
		case sameName:
			return nil, &Problem{Reason: NameTaken,
				What: fmt.Sprintf("another cluster has the name %s (%s)", c.Name, c.Spec.Connection.Server),
				Next: "Choose another name; hanse clusters lists those that are taken."}
		}
	}
	if req.Renew && renew == nil {
		return nil, &Problem{Reason: NotFound,
			What: fmt.Sprintf("there is no membership of %s to renew", req.Name), Next: "Leave --renew out."}
	}
	return renew, checkMark(ctx, hub, member)
}

// uidOf is the UID of a member, as the join or the hub recorded it.
func uidOf(c *v1alpha1.Cluster) string {
	if c.Status.UID != "" {
		return c.Status.UID
	}
	return c.Annotations[ClusterUIDAnnotation]
}

// checkMark reads in the member whose it is. Our own mark without a Cluster on the hub is what a lost member kept: it
// is taken up again.
func checkMark(ctx context.Context, hub, member *party) error {
	var role rbacv1.ClusterRole
	err := member.Get(ctx, client.ObjectKey{Name: AccountName}, &role)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) { // who may not read it learns it on creating
		return nil
	}
	if err != nil {
		return Diagnose(member.what, err)
	}
	return refuseMark(markOf(&role), hub, member)
}

func refuseMark(m mark, hub, member *party) error {
	switch m.hub {
	case hub.uid:
		return nil
	case "":
		return &Problem{Reason: Foreign,
			What: fmt.Sprintf("%s has a ClusterRole %s that Hanse did not make", member.what, AccountName),
			Next: "Find out whose it is; it must go before the cluster can join."}
	}
	return &Problem{Reason: OtherHub,
		What: fmt.Sprintf("the cluster at %s is a member of %s already, as %s", member.config.Host, m, m.name),
		Next: fmt.Sprintf("Let it leave there first: hanse unjoin %s. If that hub is gone for good: "+
			"kubectl delete clusterrole %s in the cluster.", m.name, AccountName)}
}

// need is one thing that a join does.
type need struct{ verb, group, resource, subresource, namespace string }

func (n need) String() string {
	s := n.verb + " " + n.resource
	if n.subresource != "" {
		s += "/" + n.subresource
	}
	if n.group != "" {
		s += " (" + n.group + ")"
	}
	if n.namespace != "" {
		s += " in " + n.namespace
	}
	return s
}

const rbacGroup = rbacv1.GroupName

// memberNeeds is what a join does in the member, undoing included.
var memberNeeds = []need{
	{"create", rbacGroup, "clusterroles", "", ""},
	{"update", rbacGroup, "clusterroles", "", ""},
	{"delete", rbacGroup, "clusterroles", "", ""},
	{"create", rbacGroup, "clusterrolebindings", "", ""},
	{"delete", rbacGroup, "clusterrolebindings", "", ""},
	{"create", "", "namespaces", "", ""},
	{"delete", "", "namespaces", "", ""},
	{"create", "", "serviceaccounts", "", v1alpha1.SystemNamespace},
	{"create", "", "serviceaccounts", "token", v1alpha1.SystemNamespace},
	{"create", rbacGroup, "roles", "", v1alpha1.SystemNamespace},
	{"create", rbacGroup, "rolebindings", "", v1alpha1.SystemNamespace},
}

// hubNeeds is what a join does on the hub, undoing included.
var hubNeeds = []need{
	{"create", v1alpha1.GroupVersion.Group, "clusters", "", ""},
	{"delete", v1alpha1.GroupVersion.Group, "clusters", "", ""},
	{"create", "", "secrets", "", v1alpha1.SystemNamespace},
	{"delete", "", "secrets", "", v1alpha1.SystemNamespace},
}

// checkPermissions asks for each need, and names all that are missing.
func checkPermissions(ctx context.Context, p *party, needs []need) error {
	if allowed, err := may(ctx, p, need{"*", "*", "*", "", ""}); err != nil || allowed {
		return err
	}
	var missing []string
	for _, n := range needs {
		allowed, err := may(ctx, p, n)
		if err != nil {
			return err
		}
		if !allowed {
			missing = append(missing, n.String())
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &Problem{Reason: Forbidden,
		What: fmt.Sprintf("the account in the kubeconfig may not, on %s: %s", p.what, strings.Join(missing, "; ")),
		Next: "Use an account that may, for example one with the role cluster-admin."}
}

func may(ctx context.Context, p *party, n need) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: n.verb, Group: n.group, Resource: n.resource, Subresource: n.subresource, Namespace: n.namespace},
	}}
	if err := p.Create(ctx, review); err != nil {
		return false, Diagnose(p.what, err)
	}
	return review.Status.Allowed, nil
}

// connectionOf is how the hub will reach the member: as the administrator's kubeconfig does, unless server says
// otherwise.
func connectionOf(member, hub *rest.Config, server string, report func(string)) (v1alpha1.Connection, error) {
	given := server != ""
	if !given {
		server = member.Host
	}
	address, err := url.Parse(server)
	if err != nil || address.Scheme != "https" || address.Host == "" {
		return v1alpha1.Connection{}, &Problem{Reason: UnusableServer,
			What: fmt.Sprintf("%q is not the https URL of an API server", server),
			Next: "Say with --server how the hub reaches the cluster, for example --server https://10.0.0.1:6443.", Err: err}
	}
	if !given && isLoopback(address.Hostname()) && !isLoopback(hostOf(hub.Host)) {
		return v1alpha1.Connection{}, &Problem{Reason: UnusableServer,
			What: fmt.Sprintf("the address of the cluster is %s, which leads the hub at %s to itself", server, hub.Host),
			Next: "Say with --server how the hub reaches the cluster."}
	}
	c := v1alpha1.Connection{
		Server: server, CABundle: member.CAData, TLSServerName: member.ServerName, InsecureSkipTLSVerify: member.Insecure,
	}
	if c.InsecureSkipTLSVerify {
		report("note: the kubeconfig says insecure-skip-tls-verify, so the hub will not check who answers at " +
			server + " either")
	}
	if c.ProxyURL, err = proxyOf(member, address); err != nil {
		return v1alpha1.Connection{}, err
	}
	return c, nil
}

// proxyOf is the proxy that the kubeconfig names; none if it names none, the environment of this process is not the
// hub's.
func proxyOf(member *rest.Config, server *url.URL) (string, error) {
	if member.Proxy == nil {
		return "", nil
	}
	proxy, err := member.Proxy(requestTo(server))
	if err != nil {
		return "", fmt.Errorf("reading the proxy for %s: %w", server, err)
	}
	if proxy == nil {
		return "", nil
	}
	return proxy.String(), nil
}

func hostOf(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
