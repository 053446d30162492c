package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/dns/feed"
	"github.com/hanse-federation/hanse/dns/update"
	"github.com/hanse-federation/hanse/federation/member/enroll"
	"github.com/hanse-federation/hanse/federation/names/acks"
)

func newDNSServers(hub *access) *cobra.Command {
	c := &cobra.Command{
		Use:   "servers",
		Short: "The DNS servers: which runs, and which version of the names it answers",
		Args:  cobra.NoArgs,
	}
	output := formatFlag(c, asJSON, asYAML, asName)
	c.RunE = func(c *cobra.Command, _ []string) error {
		h, err := hub.connect()
		if err != nil {
			return err
		}
		var leases coordinationv1.LeaseList
		if err := h.List(c.Context(), &leases, client.InNamespace(acks.Namespace)); err != nil {
			return enroll.Diagnose(h.what, err)
		}
		var servers []acks.Server
		for i := range leases.Items {
			if s, ok := acks.ServerOf(&leases.Items[i]); ok {
				servers = append(servers, s)
			}
		}
		return serverTable(servers, time.Now()).print(c, *output)
	}
	return c
}

// dnsServer is one row.
type dnsServer struct {
	Name      string   `json:"name"`
	State     string   `json:"state"`
	Serial    uint32   `json:"serial"`
	Seen      string   `json:"seen"`
	Version   string   `json:"version"`
	Addresses []string `json:"addresses"`
}

// silentAfter is when a server that has not been heard of is shown as silent.
const silentAfter = 30 * time.Second

func serverTable(servers []acks.Server, now time.Time) printed {
	p := printed{head: []string{"NAME", "STATE", "SERIAL", "SEEN", "VERSION", "ADDRESSES"},
		empty: "no DNS server has told the hub of itself yet"}
	rows := []dnsServer{}
	slices.SortFunc(servers, func(a, b acks.Server) int { return cmp.Compare(a.Name, b.Name) })
	for _, s := range servers {
		row := dnsServer{s.Name, "Running", s.Serial, s.Renewed.UTC().Format(time.RFC3339), s.Version, s.Addresses}
		switch {
		case !s.IsRunning:
			row.State = "Ended"
		case now.Sub(s.Renewed) > silentAfter:
			row.State = "Silent"
		case s.Serial == 0:
			row.State = "Waiting"
		}
		seen := metav1.NewTime(s.Renewed)
		rows = append(rows, row)
		p.names = append(p.names, "lease/"+s.Name)
		p.rows = append(p.rows, []string{row.Name, row.State, fmt.Sprint(row.Serial), ago(&seen, now) + " ago", row.Version,
			strings.Join(row.Addresses, ",")})
	}
	p.value = rows
	return p
}

// dnsAccount is the account of a DNS server on the hub.
type dnsAccount struct {
	name     string
	duration time.Duration
}

func newDNSKubeconfig(hub *access) *cobra.Command {
	var account dnsAccount
	c := &cobra.Command{
		Use:   "kubeconfig NAME",
		Short: "Make the account of DNS servers on the hub, and print its kubeconfig",
		Long: `Make a ServiceAccount on the hub for DNS servers and print a kubeconfig with a token of it.

The account may read what is answered, hand on signed DNS updates, write the Leases in the namespace
` + acks.Namespace + ` by which DNS servers tell the hub what they serve, and ask for new tokens of its own; nothing else.
Any number of servers can share it. A server replaces the token by one of its own at once, and again after half of its
life: it needs no new kubeconfig while it sees the hub once in that time. Delete the ServiceAccount ` + acks.Namespace + `/NAME to
take all of them back; a server that is not let in any more goes on answering what it has.`,
		Example: `  hanse dns kubeconfig edge > dns.kubeconfig`,
		Args:    oneArg("the NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			account.name = args[0]
			if account.duration < 10*time.Minute {
				return usagef("--duration %s: a token lasts at least 10m", account.duration)
			}
			h, err := hub.connect()
			if err != nil {
				return err
			}
			return account.make(c, h)
		},
	}
	c.Flags().DurationVar(&account.duration, "duration", 366*24*time.Hour, "how long the token lasts; the hub may give less")
	return c
}

// dnsRole is what DNS servers may do on the hub.
const dnsRole = "hanse-dns"

func (a dnsAccount) make(c *cobra.Command, h *hubAPI) error {
	for _, obj := range a.objects() {
		if err := provide(c.Context(), h, obj); err != nil {
			return enroll.Diagnose(h.what, err)
		}
	}
	h.namespace = acks.Namespace
	return runToken(c, h, tokenRequest{account: a.name, duration: a.duration, kubeconfig: true})
}

// objects are the account and what it may do, each after what it refers to. The names of roles may have a colon, that of
// an account may not: so no account's right to renew its tokens is called as another account's rights are.
func (a dnsAccount) objects() []client.Object {
	subject := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: acks.Namespace, Name: a.name}
	own, renewal := dnsRole+"-"+a.name, dnsRole+"-"+a.name+":token"
	return []client.Object{
		&rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: dnsRole},
			Rules: []rbacv1.PolicyRule{
				{Verbs: []string{"get"}, NonResourceURLs: []string{feed.Path}},
				{Verbs: []string{"post"}, NonResourceURLs: []string{update.Path}},
			},
		},
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: acks.Namespace, Name: dnsRole},
			Rules: []rbacv1.PolicyRule{{Verbs: []string{"get", "create", "update"},
				APIGroups: []string{coordinationv1.GroupName}, Resources: []string{"leases"}}},
		},
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: acks.Namespace, Name: renewal},
			Rules: []rbacv1.PolicyRule{{Verbs: []string{"create"}, APIGroups: []string{""},
				Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{a.name}}},
		},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: acks.Namespace, Name: a.name}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: own},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: dnsRole},
			Subjects:   []rbacv1.Subject{subject},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: acks.Namespace, Name: own},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: dnsRole},
			Subjects:   []rbacv1.Subject{subject},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: acks.Namespace, Name: renewal},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: renewal},
			Subjects:   []rbacv1.Subject{subject},
		},
	}
}

// provide makes an object, or, of roles, makes one that is there as it should be: an earlier version of this program may
// have made it.
func provide(ctx context.Context, h *hubAPI, obj client.Object) error {
	wanted := obj.DeepCopyObject()
	err := h.Create(ctx, obj)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	var rules []rbacv1.PolicyRule
	switch role := wanted.(type) {
	case *rbacv1.ClusterRole:
		rules = role.Rules
	case *rbacv1.Role:
		rules = role.Rules
	default:
		return nil
	}
	patch, err := json.Marshal(map[string]any{"rules": rules})
	if err != nil {
		return err
	}
	return h.Patch(ctx, wanted.(client.Object), client.RawPatch(types.MergePatchType, patch))
}
