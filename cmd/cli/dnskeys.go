package cli

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/federation/member/enroll"
	"github.com/hanse-federation/hanse/federation/names/dnskeys"
)

func newZoneKeys(hub *access) *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "The DNSSEC keys of a zone",
		Long: `Show and replace the DNSSEC keys of a Zone with spec.dnssec.enabled.

A key is replaced in three steps, without a moment in which an answer does not validate:

  1. "hanse dns key roll ZONE" brings in a new key, and prints the DS record to add at the parent zone. Parents that
     read CDS records (RFC 7344) add it by themselves. Keep the old DS record.
  2. Wait until the new DS record is at the parent, and for as long as its TTL.
  3. "hanse dns key retire ZONE TAG" lets the new key sign, and the old one go. Then drop the old DS record.

A zone is signed no more in three steps, too:

  1. Set spec.dnssec.enabled of the Zone to false. It stays signed, and asks its parent to drop the DS record (RFC 8078).
  2. Parents that do not read CDS records are told by you. Wait until the DS record has gone, and for as long as its TTL.
  3. "hanse dns key remove ZONE" removes the keys, and with them the signatures.`,
	}
	c.AddCommand(newKeyList(hub), newKeyRoll(hub), newKeyRetire(hub), newKeyRemove(hub))
	return c
}

func newKeyList(hub *access) *cobra.Command {
	c := &cobra.Command{
		Use:     "list ZONE",
		Short:   "The keys of a zone, and the DS records that its parent should have",
		Example: `  hanse dns key list example.org`,
		Args:    oneArg("the ZONE"),
	}
	output := formatFlag(c, asJSON, asYAML, asName, asWide)
	c.RunE = func(c *cobra.Command, args []string) error {
		k, err := readKeys(c, hub, args[0])
		if err != nil {
			return err
		}
		return k.table(time.Now()).print(c, *output)
	}
	return c
}

func newKeyRoll(hub *access) *cobra.Command {
	return &cobra.Command{
		Use:     "roll ZONE",
		Short:   "Bring in a new key beside the one that signs the zone",
		Example: `  hanse dns key roll example.org`,
		Args:    oneArg("the ZONE"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := readKeys(c, hub, args[0])
			if err != nil {
				return err
			}
			if err := k.stays(); err != nil {
				return err
			}
			next, err := k.ring.Roll(time.Now())
			if err != nil {
				return failure("hanse dns key list "+k.zone+" shows the keys.", "a new key for %s: %v", k.zone, err)
			}
			if err := k.store(c, next); err != nil {
				return err
			}
			return k.tellNext(c)
		},
	}
}

func newKeyRetire(hub *access) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "retire ZONE TAG",
		Short: "Let the new key take over from the one with this tag",
		Long: `Let the new key of a zone take over, and the one with this TAG go.

The parent of the zone is asked for its DS records first: if it has one for the old key and none for the new one, the
zone would be lost for everybody who validates, and the command refuses. --force does without this question.`,
		Example: `  hanse dns key retire example.org 12345`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			tag, err := strconv.ParseUint(args[1], 10, 16)
			if err != nil {
				return usagef("%q is no key tag; hanse dns key list %s shows them", args[1], args[0])
			}
			k, err := readKeys(c, hub, args[0])
			if err != nil {
				return err
			}
			if err := k.stays(); err != nil {
				return err
			}
			next, err := k.ring.Retire(uint16(tag), time.Now())
			if err != nil {
				return failure("hanse dns key list "+k.zone+" shows the keys, and hanse dns key --help the way of one.",
					"retiring key %d of %s: %v", tag, k.zone, err)
			}
			if !force {
				if err := k.askParent(c, k.checkParent); err != nil {
					return err
				}
			}
			if err := k.store(c, next); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "The new key signs %s now. Drop the DS record with the tag %d at the parent.\n",
				k.zone, tag)
			return err
		},
	}
	c.Flags().BoolVar(&force, "force", false, "do not ask the parent for its DS records first")
	return c
}

func newKeyRemove(hub *access) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "remove ZONE",
		Short: "Remove the keys of a zone that is to be signed no more",
		Long: `Remove the keys of a zone whose spec.dnssec.enabled is false: its answers are not signed from then on.

The parent of the zone is asked for its DS records first: while it has one, everybody who validates would take the
zone for forged, and the command refuses. Resolvers keep the DS record for its TTL, often a day, after the parent has
dropped it: wait for that, too. --force does without the question. The keys cannot be brought back.`,
		Example: `  hanse dns key remove example.org`,
		Args:    oneArg("the ZONE"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := readKeys(c, hub, args[0])
			if err != nil {
				return err
			}
			if !k.isLeaving {
				return failure("Set spec.dnssec.enabled of the Zone to false first: it asks its parent to drop the DS record then.",
					"the Zone %s is to be signed", k.zone)
			}
			if !force {
				if err := k.askParent(c, k.checkNone); err != nil {
					return err
				}
			}
			exactly := client.Preconditions{UID: &k.secret.UID, ResourceVersion: &k.secret.ResourceVersion}
			if err := k.hub.Delete(c.Context(), k.secret, exactly); err != nil {
				return enroll.Diagnose(k.hub.what, err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "The Zone %s is not signed any more.\n", k.zone)
			return err
		},
	}
	c.Flags().BoolVar(&force, "force", false, "do not ask the parent for its DS records first")
	return c
}

// checkNone refuses if the parent has DS records.
func (k *zoneKeys) checkNone(answer []dns.RR) error {
	for _, rr := range answer {
		if ds, ok := rr.(*dns.DS); ok {
			return failure("Let it drop the record, and wait for the TTL.", "the parent of %s has a DS record with the tag %d", k.zone, ds.KeyTag)
		}
	}
	return nil
}

// zoneKeys are the keys of a zone as they are stored.
type zoneKeys struct {
	hub    *hubAPI
	zone   string
	secret *corev1.Secret
	ring   dnskeys.Keys
	// isLeaving: the zone is to be signed no more.
	isLeaving bool
}

// stays refuses to replace keys that are to go.
func (k *zoneKeys) stays() error {
	if !k.isLeaving {
		return nil
	}
	return failure("Set spec.dnssec.enabled of the Zone to true to go on signing it.", "the Zone %s is to be signed no more", k.zone)
}

// readKeys reads those of the Zone with this name.
func readKeys(c *cobra.Command, hub *access, name string) (*zoneKeys, error) {
	h, err := hub.connect()
	if err != nil {
		return nil, err
	}
	k := &zoneKeys{hub: h, zone: strings.ToLower(strings.TrimSuffix(name, ".")), secret: &corev1.Secret{}}
	var z v1alpha1.Zone
	err = h.Get(c.Context(), client.ObjectKey{Name: k.zone}, &z)
	switch {
	case apierrors.IsNotFound(err):
		return nil, failure("kubectl get zones lists them.", "there is no Zone %s on %s", k.zone, h.what)
	case err != nil:
		return nil, enroll.Diagnose(h.what, err)
	}
	k.isLeaving = z.Spec.DNSSEC == nil || !z.Spec.DNSSEC.Enabled
	key := client.ObjectKey{Namespace: v1alpha1.SystemNamespace, Name: dnskeys.SecretName(k.zone)}
	err = h.Get(c.Context(), key, k.secret)
	if apierrors.IsNotFound(err) && k.isLeaving {
		return nil, failure("Set spec.dnssec.enabled of the Zone to true first.", "the Zone %s is not signed", k.zone)
	}
	if apierrors.IsNotFound(err) {
		return nil, failure("The hub makes it as soon as its controllers run: try again in a moment.",
			"the Zone %s has no key yet", k.zone)
	}
	if err != nil {
		return nil, enroll.Diagnose(h.what, err)
	}
	if k.ring, err = dnskeys.Read(k.secret); err != nil {
		return nil, failure("Restore the Secret from a backup; without it the zone needs new keys and a new DS record.", "%v", err)
	}
	k.ring, _ = k.ring.Current(time.Now())
	return k, nil
}

func (k *zoneKeys) store(c *cobra.Command, next dnskeys.Keys) error {
	next.Put(k.secret)
	err := k.hub.Update(c.Context(), k.secret)
	if apierrors.IsConflict(err) {
		return failure("Look at hanse dns key list "+k.zone+", and try again.", "the keys of %s have been changed by somebody else", k.zone)
	}
	if err != nil {
		return enroll.Diagnose(k.hub.what, err)
	}
	k.ring = next
	return nil
}

// tellNext says what to do with the new key.
func (k *zoneKeys) tellNext(c *cobra.Command) error {
	for _, key := range k.ring {
		if key.Stage != sign.Incoming {
			continue
		}
		if _, err := fmt.Fprintf(c.OutOrStdout(), "%s\n", k.ds(key)); err != nil {
			return err
		}
	}
	for _, key := range k.ring {
		if key.Stage == sign.Active {
			_, err := fmt.Fprintf(c.ErrOrStderr(), "Add this DS record at the parent, and keep the old one. When it has been there for "+
				"as long as its TTL:\n  hanse dns key retire %s %d\n", k.zone, key.Tag)
			return err
		}
	}
	return nil
}

func (k *zoneKeys) ds(key dnskeys.Key) string {
	origin, err := wire.ParseName(k.zone+".", wire.Root)
	if err != nil {
		return ""
	}
	parsed, err := sign.NewKey(key.Private, key.Stage)
	if err != nil {
		return ""
	}
	return parsed.DSText(origin)
}

func (k *zoneKeys) table(now time.Time) printed {
	p := printed{head: []string{"TAG", "STAGE", "SINCE", "DS"}, empty: "no keys"}
	var rows []v1alpha1.ZoneKey
	for _, key := range k.ring {
		row := v1alpha1.ZoneKey{Tag: int32(key.Tag), Stage: string(key.Stage), Since: metav1.NewTime(key.Since), DS: k.ds(key)}
		shown := row.DS
		if k.isLeaving && key.Stage == sign.Active {
			row.Stage = string(sign.Leaving)
		}
		if k.isLeaving || key.Stage == sign.Retired {
			shown = "(drop it at the parent)"
		}
		rows = append(rows, row)
		p.names = append(p.names, fmt.Sprint(row.Tag))
		p.rows = append(p.rows, []string{fmt.Sprint(row.Tag), row.Stage, ago(&row.Since, now), shown})
	}
	p.value = rows
	return p
}

// resolvConf is where this machine says which resolvers it asks.
const resolvConf = "/etc/resolv.conf"

// askParent has the DS records of the parent checked.
func (k *zoneKeys) askParent(c *cobra.Command, check func([]dns.RR) error) error {
	const without = "Try again later, or use --force if you know which DS records the parent has."
	conf, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil || len(conf.Servers) == 0 {
		return failure(without, "the parent of %s cannot be asked for its DS records: no resolver in %s", k.zone, resolvConf)
	}
	m := new(dns.Msg).SetQuestion(k.zone+".", dns.TypeDS)
	m.SetEdns0(1232, false)
	answer, _, err := (&dns.Client{Timeout: 5 * time.Second}).ExchangeContext(c.Context(), m, net.JoinHostPort(conf.Servers[0], conf.Port))
	if err == nil && answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
		err = errors.New(dns.RcodeToString[answer.Rcode])
	}
	if err != nil {
		return failure(without, "the parent of %s cannot be asked for its DS records: %v", k.zone, err)
	}
	return check(answer.Answer)
}

// checkParent refuses if the parent has DS records, and none of them is of the new key.
func (k *zoneKeys) checkParent(answer []dns.RR) error {
	var has []string
	for _, rr := range answer {
		ds, ok := rr.(*dns.DS)
		if !ok {
			continue
		}
		has = append(has, fmt.Sprint(ds.KeyTag))
		for _, key := range k.ring {
			if want, err := dns.NewRR(k.ds(key)); key.Stage == sign.Incoming && err == nil && strings.EqualFold(want.(*dns.DS).Digest, ds.Digest) {
				return nil
			}
		}
	}
	if len(has) == 0 {
		return nil // nobody validates the zone by its parent
	}
	return failure("Add the DS record that hanse dns key list "+k.zone+" shows, and wait for its TTL.",
		"the parent of %s has DS records with the tags %s, and none of the new key", k.zone, strings.Join(has, ", "))
}
