package enroll

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/hanse-federation/hanse/api/v1alpha1"
)

// Request is what a join is asked to do.
type Request struct {
	// Name of the Cluster, a DNS label.
	Name string
	// Server is the https URL at which the hub reaches the member; that of the administrator's kubeconfig if empty.
	Server string
	// Region, Zones, Provider and Labels of the Cluster; all optional.
	Region   string
	Zones    []string
	Provider string
	Labels   map[string]string
	// ClusterAdmin gives the hub every right in the member instead of those in Rules.
	ClusterAdmin bool
	// APIGroups whose resources the hub may write besides, for custom resources.
	APIGroups []string
	// Impersonate says whom the hub may act as in the member, for requests that people send through it: user:NAME,
	// group:NAME, or Everybody. None: nobody can use the member through the hub.
	Impersonate []string
	// Renew makes account, role and token of a present membership anew.
	Renew bool
}

// settle bounds how long a new account, or a namespace on its way out, may take to settle in the member.
const settle = 30 * time.Second

// join is one join under way.
type join struct {
	Request
	hub, member *party
	now         time.Time
	report      func(string)
	undo        undoList
	connection  v1alpha1.Connection
	// anchor owns all other objects in the member.
	anchor *rbacv1.ClusterRole
}

// Join makes the cluster that an administrator's configuration reaches a member of the hub. It reports what it does, a
// line each. When it fails nothing of it is left; the error says what is wrong and is usually a *Problem.
func Join(ctx context.Context, hub, member *rest.Config, req Request, now time.Time, report func(string)) (
	*v1alpha1.Cluster, error) {

	if err := errors.Join(checkName(req.Name), checkImpersonate(req.Impersonate)); err != nil {
		return nil, err
	}
	j := &join{Request: req, now: now, report: report}
	var err error
	if j.hub, err = newParty(hub, "hub"); err != nil {
		return nil, err
	}
	if j.member, err = newParty(member, "cluster"); err != nil {
		return nil, err
	}
	renew, err := j.check(ctx)
	if err != nil {
		return nil, err
	}
	cluster, err := j.act(ctx, renew)
	if err == nil {
		return cluster, nil
	}
	if left := j.undo.run(ctx); left != nil {
		return nil, fmt.Errorf("%w\nand undoing it failed: %w", err, left)
	}
	return nil, err
}

// check looks at everything that can be known before the first write.
func (j *join) check(ctx context.Context) (renew *v1alpha1.Cluster, err error) {
	for _, p := range []*party{j.hub, j.member} {
		if err := checkCredentials(p.config, j.now); err != nil {
			return nil, err
		}
	}
	j.report("checking the hub at " + j.hub.config.Host)
	clusters, err := checkHub(ctx, j.hub)
	if err != nil {
		return nil, err
	}
	j.report("checking the cluster at " + j.member.config.Host)
	if err := checkVersion(ctx, j.member, j.report); err != nil {
		return nil, err
	}
	if err := j.member.identify(ctx); err != nil {
		return nil, err
	}
	if renew, err = checkIdentity(ctx, j.hub, j.member, clusters, j.Request); err != nil {
		return nil, err
	}
	if j.connection, err = connectionOf(j.member.config, j.hub.config, j.Server, j.report); err != nil {
		return nil, err
	}
	if err := checkPermissions(ctx, j.member, memberNeeds); err != nil {
		return nil, err
	}
	return renew, checkPermissions(ctx, j.hub, hubNeeds)
}

// act does the steps, in an order in which each finds what it needs and the hub sees the Cluster last, complete.
func (j *join) act(ctx context.Context, renew *v1alpha1.Cluster) (*v1alpha1.Cluster, error) {
	j.report("making the hub's account in the cluster")
	if err := j.makeAccount(ctx); err != nil {
		return nil, err
	}
	token, expires, err := requestToken(ctx, j.member)
	if err != nil {
		return nil, err
	}
	if err := j.tryToken(ctx, token); err != nil {
		return nil, err
	}
	j.report("telling the hub")
	return j.register(ctx, renew, token, expires)
}

// makeAccount makes what doc.go lists.
func (j *join) makeAccount(ctx context.Context) error {
	m := mark{hub: j.hub.uid, server: j.hub.config.Host, name: j.Name}
	j.anchor = &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: AccountName}}
	rules := Rules(j.Request)
	if err := j.ensure(ctx, j.member, j.anchor, func() error {
		if j.anchor.UID != "" { // another join was first
			if err := refuseMark(markOf(j.anchor), j.hub, j.member); err != nil {
				return err
			}
		}
		setAnnotations(j.anchor, m.annotations())
		j.anchor.Rules = rules
		return nil
	}); err != nil {
		return err
	}
	if err := j.ensureNamespace(ctx); err != nil {
		return err
	}
	for _, obj := range j.dependents() {
		wanted := obj.DeepCopyObject()
		if err := j.ensure(ctx, j.member, obj, func() error { return setContent(obj, wanted) }); err != nil {
			return err
		}
	}
	return nil
}

// dependents are the objects in the member that follow the namespace, in the order of their making: the binding comes
// last, so the account can do nothing before it is complete.
func (j *join) dependents() []client.Object {
	here := metav1.ObjectMeta{Namespace: v1alpha1.SystemNamespace, Name: AccountName, OwnerReferences: j.owners()}
	subject := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: v1alpha1.SystemNamespace, Name: AccountName}}
	return []client.Object{
		&corev1.ServiceAccount{ObjectMeta: here},
		&rbacv1.Role{ObjectMeta: *here.DeepCopy(), Rules: tokenRules},
		&rbacv1.RoleBinding{ObjectMeta: *here.DeepCopy(), Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacGroup, Kind: "Role", Name: AccountName}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: AccountName, OwnerReferences: j.owners()}, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacGroup, Kind: "ClusterRole", Name: AccountName}},
	}
}

func (j *join) owners() []metav1.OwnerReference {
	return []metav1.OwnerReference{{
		APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole", Name: AccountName, UID: j.anchor.UID}}
}

// setContent gives an object of ours from an earlier membership the content of now.
func setContent(obj client.Object, wanted any) error {
	switch o := obj.(type) {
	case *corev1.ServiceAccount:
		o.OwnerReferences = wanted.(*corev1.ServiceAccount).OwnerReferences
	case *rbacv1.Role:
		o.OwnerReferences, o.Rules = wanted.(*rbacv1.Role).OwnerReferences, wanted.(*rbacv1.Role).Rules
	case *rbacv1.RoleBinding:
		o.OwnerReferences, o.Subjects = wanted.(*rbacv1.RoleBinding).OwnerReferences, wanted.(*rbacv1.RoleBinding).Subjects
		o.RoleRef = wanted.(*rbacv1.RoleBinding).RoleRef
	case *rbacv1.ClusterRoleBinding:
		w := wanted.(*rbacv1.ClusterRoleBinding)
		o.OwnerReferences, o.Subjects, o.RoleRef = w.OwnerReferences, w.Subjects, w.RoleRef
	default:
		return fmt.Errorf("no content known for %T", obj)
	}
	return nil
}

// ensureNamespace makes the namespace of the account. One that was there stays without owner, so it survives the
// membership.
func (j *join) ensureNamespace(ctx context.Context) error {
	return wait.PollUntilContextTimeout(ctx, 500*time.Millisecond, settle, true, func(ctx context.Context) (bool, error) {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.SystemNamespace}}
		if err := j.ensure(ctx, j.member, ns, func() error {
			if ns.UID == "" {
				ns.OwnerReferences = j.owners()
			}
			return nil
		}); err != nil {
			return false, err
		}
		if ns.DeletionTimestamp != nil {
			j.report("waiting for the namespace " + ns.Name + " of an earlier membership to go")
		}
		return ns.DeletionTimestamp == nil, nil
	})
}

// ensure creates or updates one object; an object that it created is on the undo list.
func (j *join) ensure(ctx context.Context, p *party, obj client.Object, mutate func() error) error {
	what := fmt.Sprintf("%s %s on %s", kindOf(p, obj), client.ObjectKeyFromObject(obj), p.what)
	done, err := controllerutil.CreateOrUpdate(ctx, p.Client, obj, mutate)
	if apierrors.IsAlreadyExists(err) { // somebody made it between the look and the write
		done, err = controllerutil.CreateOrUpdate(ctx, p.Client, obj, mutate)
	}
	if ReasonOf(err) != "" {
		return err
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", what, Diagnose(p.what, err))
	}
	if done == controllerutil.OperationResultCreated {
		made := obj.DeepCopyObject().(client.Object)
		j.undo.add(what, func(ctx context.Context) error { return remove(ctx, p, made) })
	}
	return nil
}

// remove deletes exactly the object that was made, not one that took its name since.
func remove(ctx context.Context, p *party, made client.Object) error {
	uid := made.GetUID()
	err := p.Delete(ctx, made, client.Preconditions{UID: &uid},
		client.PropagationPolicy(metav1.DeletePropagationBackground))
	if apierrors.IsConflict(err) {
		return nil
	}
	return client.IgnoreNotFound(err)
}

func kindOf(p *party, obj client.Object) string {
	gvk, err := p.GroupVersionKindFor(obj)
	if err != nil {
		return fmt.Sprintf("%T", obj)
	}
	return gvk.Kind
}

// tryToken works in the member as the hub will: an answer to it proves that the token is good and the role bound.
// Caches of the member's API servers may take a moment to learn of both.
func (j *join) tryToken(ctx context.Context, token string) error {
	config := rest.AnonymousClientConfig(j.member.config)
	config.BearerToken = token
	account, err := newParty(config, "cluster")
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, settle, true, func(ctx context.Context) (bool, error) {
		last = account.identify(ctx)
		reason := ReasonOf(last)
		if reason == Unauthorized || reason == Forbidden {
			return false, nil
		}
		return true, last
	})
	if err != nil && last != nil {
		return fmt.Errorf("trying the new account: %w", last)
	}
	return err
}

// register writes the membership on the hub: the Secret first, so the Cluster is complete when the hub sees it.
func (j *join) register(ctx context.Context, renew *v1alpha1.Cluster, token string, expires time.Time) (
	*v1alpha1.Cluster, error) {

	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.SystemNamespace}}
	if err := client.IgnoreAlreadyExists(j.hub.Create(ctx, ns)); err != nil {
		return nil, fmt.Errorf("making the namespace %s: %w", ns.Name, Diagnose(j.hub.what, err))
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.SystemNamespace, Name: j.Name}}
	if err := j.ensure(ctx, j.hub, secret, func() error {
		if owner := secret.Annotations[ClusterUIDAnnotation]; secret.UID != "" && owner != j.member.uid {
			return &Problem{Reason: NameTaken,
				What: fmt.Sprintf("the hub has a Secret %s/%s that is not of this membership", secret.Namespace, secret.Name),
				Next: "Choose another name, or remove the Secret if nothing needs it."}
		}
		setAnnotations(secret, map[string]string{ClusterUIDAnnotation: j.member.uid})
		putToken(secret, token, j.now, expires)
		return nil
	}); err != nil {
		return nil, err
	}
	cluster, err := j.registerCluster(ctx, renew)
	if err != nil {
		return nil, err
	}
	return cluster, j.own(ctx, cluster, secret)
}

// registerCluster creates the Cluster, or gives the one to renew its new connection; what else a person set there
// stays.
func (j *join) registerCluster(ctx context.Context, renew *v1alpha1.Cluster) (*v1alpha1.Cluster, error) {
	connection := j.connection
	connection.Credentials.SecretName = j.Name
	if renew != nil {
		before := renew.DeepCopy()
		renew.Spec.Connection = connection
		setAnnotations(renew, map[string]string{ClusterUIDAnnotation: j.member.uid})
		if err := j.hub.Patch(ctx, renew, client.MergeFrom(before)); err != nil {
			return nil, fmt.Errorf("writing Cluster %s: %w", j.Name, Diagnose(j.hub.what, err))
		}
		return renew, nil
	}
	cluster := &v1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Name: j.Name, Labels: j.Labels},
		Spec:       v1alpha1.ClusterSpec{Region: j.Region, Zones: j.Zones, Provider: j.Provider, Connection: connection},
	}
	setAnnotations(cluster, map[string]string{ClusterUIDAnnotation: j.member.uid})
	if err := j.hub.Create(ctx, cluster); apierrors.IsAlreadyExists(err) {
		return nil, &Problem{Reason: NameTaken,
			What: fmt.Sprintf("another cluster has taken the name %s just now", j.Name), Next: "Choose another name."}
	} else if err != nil {
		return nil, fmt.Errorf("creating Cluster %s: %w", j.Name, Diagnose(j.hub.what, err))
	}
	made := cluster.DeepCopy()
	j.undo.add("Cluster "+j.Name+" on "+j.hub.what, func(ctx context.Context) error {
		return dropCluster(ctx, j.hub, made)
	})
	return cluster, nil
}

// own lets the Secret go with the Cluster.
func (j *join) own(ctx context.Context, cluster *v1alpha1.Cluster, secret *corev1.Secret) error {
	before := secret.DeepCopy()
	secret.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "Cluster", Name: cluster.Name, UID: cluster.UID}}
	if err := j.hub.Patch(ctx, secret, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("writing Secret %s: %w", j.Name, Diagnose(j.hub.what, err))
	}
	return nil
}

func setAnnotations(obj metav1.Object, set map[string]string) {
	all := maps.Clone(obj.GetAnnotations())
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, set)
	obj.SetAnnotations(all)
}

func requestTo(server *url.URL) *http.Request { return &http.Request{URL: server} }
