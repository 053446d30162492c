package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member/enroll"
)

func newStatus(hub *access) *cobra.Command {
	var everywhere bool
	var wait time.Duration
	c := &cobra.Command{
		Use:   "status [KIND/NAME]",
		Short: "What each member has of an object; of all placed objects without one",
		Long: `What each member has of an object, and which of its pods are not well and why (seen through the hub, with the
rights that you have in the member); -o wide is the same as a table without pods. Without KIND/NAME, all placed objects
of the namespace.

The exit code is 3 while what was asked about is not Ready.`,
		Example: `  hanse status deployment/web
  hanse status deployment/web --wait 2m
  hanse status -A`,
		Args: cobra.MaximumNArgs(1),
	}
	output := formatFlag(c, asWide, asJSON, asYAML, asName)
	c.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "of all namespaces")
	c.Flags().DurationVar(&wait, "wait", 0, "wait so long until it is Ready")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 && wait > 0 {
			return usagef("--wait needs KIND/NAME")
		}
		h, err := hub.connect()
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return statusOfAll(c, h, everywhere, *output)
		}
		return statusOfOne(c, h, args[0], wait, *output)
	}
	return c
}

func statusOfAll(c *cobra.Command, h *hubAPI, everywhere bool, output format) error {
	var list v1alpha1.DistributionList
	in := client.InNamespace(h.namespace)
	if everywhere {
		in = ""
	}
	if err := h.List(c.Context(), &list, in); err != nil {
		return enroll.Diagnose(h.what, err)
	}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("DistributionList"))
	p := printed{value: &list, empty: "nothing is placed here; hanse place says where an object goes",
		head: []string{"NAMESPACE", "OBJECT", "CLUSTERS", "APPLIED", "READY", "AGE", "PLACEMENT", "UNPLACED"}, wide: 2}
	allReady := true
	for i := range list.Items {
		d := &list.Items[i]
		allReady = allReady && isReady(d)
		p.names = append(p.names, templateName(d))
		p.rows = append(p.rows, []string{d.Spec.Template.Namespace, templateName(d), d.Status.Summary,
			conditionOf(d, v1alpha1.ConditionApplied), conditionOf(d, v1alpha1.ConditionReady),
			ago(&d.CreationTimestamp, time.Now()), claimOf(d), fmt.Sprint(d.Spec.Unplaced)})
	}
	if err := p.print(c, output); err != nil || allReady {
		return err
	}
	return notAsAsked{}
}

func statusOfOne(c *cobra.Command, h *hubAPI, arg string, wait time.Duration, output format) error {
	o, err := h.resolve(arg)
	if err != nil {
		return err
	}
	d, err := awaitDistribution(c, h, o, wait)
	if err != nil {
		return err
	}
	if output == asTable && len(outcomes(d)) > 0 {
		err = tree(c.OutOrStdout(), d, h.insights(c.Context(), o, d), time.Now())
	} else {
		err = distributionTable(d, time.Now()).print(c, output)
	}
	if err != nil || isReady(d) {
		return err
	}
	return notAsAsked{}
}

// awaitDistribution reads the Distribution of an object, and again until it is Ready or the time is over.
func awaitDistribution(c *cobra.Command, h *hubAPI, o object, wait time.Duration) (*v1alpha1.Distribution, error) {
	d, err := h.distribution(c.Context(), o)
	if err != nil || wait == 0 || isReady(d) {
		return d, err
	}
	ctx, cancel := context.WithTimeout(c.Context(), wait)
	defer cancel()
	p := startProgress(c.ErrOrStderr())
	defer p.stop()
	err = poll(ctx, func() (bool, error) {
		fresh, err := h.distribution(ctx, o)
		if err != nil {
			return false, err
		}
		d = fresh
		p.say(fmt.Sprintf("waiting for %s to be ready (%s)", o, d.Status.Summary))
		return isReady(d), nil
	})
	if ctx.Err() != nil && c.Context().Err() == nil {
		return d, nil // the table says how far it is
	}
	return d, err
}

// distribution reads what the hub decided about an object and what became of it.
func (h *hubAPI) distribution(ctx context.Context, o object) (*v1alpha1.Distribution, error) {
	d := &v1alpha1.Distribution{}
	key := client.ObjectKey{
		Namespace: v1alpha1.DistributionNamespace(o.namespace),
		Name:      v1alpha1.DistributionName(o.mapping.GroupVersionKind.GroupKind(), o.name),
	}
	err := h.Get(ctx, key, d)
	if apierrors.IsNotFound(err) {
		return nil, h.notPlaced(ctx, o)
	}
	if err != nil {
		return nil, enroll.Diagnose(h.what, err)
	}
	d.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Distribution"))
	return d, nil
}

func distributionTable(d *v1alpha1.Distribution, now time.Time) printed {
	p := printed{value: d, names: []string{templateName(d)}, wide: 2,
		empty: templateName(d) + " is in no cluster; hanse explain " + templateName(d) + " says why",
		head:  []string{"CLUSTER", "READY", "VERDICT", "HEALTH", "MESSAGE", "REVISION", "SEEN"}}
	for _, c := range outcomes(d) {
		seen := "now"
		if c.Unknown {
			seen = ago(c.LastSeen, now) + " ago"
		}
		p.rows = append(p.rows, []string{c.Name, readyOf(c), verdictOf(c), healthOf(c), messageOf(c), c.Revision, seen})
	}
	return p
}

// outcomes are the members that have the object, or should and have not been written to yet.
func outcomes(d *v1alpha1.Distribution) []v1alpha1.ClusterOutcome {
	all := d.Status.Clusters
	known := map[string]bool{}
	for _, c := range all {
		known[c.Name] = true
	}
	for _, c := range d.Spec.Clusters {
		if !known[c.Name] {
			all = append(all[:len(all):len(all)], v1alpha1.ClusterOutcome{Name: c.Name, Desired: c.Replicas, Verdict: "Pending"})
		}
	}
	return all
}

func readyOf(c v1alpha1.ClusterOutcome) string {
	if c.Desired == nil {
		return ""
	}
	ready := int64(0)
	if c.Ready != nil {
		ready = *c.Ready
	}
	return fmt.Sprintf("%d/%d", ready, *c.Desired)
}

func verdictOf(c v1alpha1.ClusterOutcome) string {
	if c.Reason != "" {
		return fmt.Sprintf("%s (%s)", c.Verdict, c.Reason)
	}
	return string(c.Verdict)
}

func healthOf(c v1alpha1.ClusterOutcome) string {
	if c.Unknown {
		return "Unknown"
	}
	return c.Health
}

func messageOf(c v1alpha1.ClusterOutcome) string {
	if c.Message != "" {
		return oneLine(c.Message)
	}
	return oneLine(c.HealthMessage)
}

func isReady(d *v1alpha1.Distribution) bool {
	return d.Status.ObservedGeneration == d.Generation &&
		meta.IsStatusConditionTrue(d.Status.Conditions, v1alpha1.ConditionReady)
}

func conditionOf(d *v1alpha1.Distribution, kind string) string {
	if c := meta.FindStatusCondition(d.Status.Conditions, kind); c != nil {
		return string(c.Status)
	}
	return string(metav1.ConditionUnknown)
}

// templateName is KIND/NAME, as the other commands take it.
func templateName(d *v1alpha1.Distribution) string {
	return strings.ToLower(d.Spec.Template.Kind) + "/" + d.Spec.Template.Name
}

// claimOf says what placed the object.
func claimOf(d *v1alpha1.Distribution) string {
	p := d.Spec.Placement
	switch p.Kind {
	case "Annotation":
		return "its annotation " + v1alpha1.ClustersAnnotation
	case "Dependency":
		return "follows " + p.Name
	}
	return p.Kind + " " + p.Name
}
