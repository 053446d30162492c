package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/member/enroll"
)

// verifiedAtOnce is how many templates one question to the hub is about: the answer must come within a minute.
const verifiedAtOnce = 200

func newVerify(hub *access) *cobra.Command {
	c := &cobra.Command{
		Use:   "verify [KIND/NAME | CLUSTER]",
		Short: "Compare what members hold with what is wanted, now and field by field",
		Long: `Compare what members hold with what is wanted, now and field by field.

The hub asks every member that has a copy, or is to have one, by a server-side dry-run: nothing it remembers counts.
Nothing is changed. Values of Secrets, and of objects that are not the hub's, are never shown.

The exit code is 0 when all copies are as they should be, and 3 when one is not, is missing, or cannot be compared.`,
		Example: `  hanse verify
  hanse verify deployment/web -n shop
  hanse verify east`,
		Args: cobra.MaximumNArgs(1),
	}
	output := formatFlag(c, asJSON, asYAML)
	c.RunE = func(c *cobra.Command, args []string) error {
		h, err := hub.connect()
		if err != nil {
			return err
		}
		templates, cluster, err := h.toVerify(c.Context(), args)
		if err != nil {
			return err
		}
		p := startProgress(c.ErrOrStderr())
		found := verification{Differences: []difference{}}
		for batch := range slices.Chunk(templates, verifiedAtOnce) {
			p.say(fmt.Sprintf("comparing %d of %d objects", found.Objects+len(batch), len(templates)))
			answer, err := h.plan(c.Context(), &v1alpha1.Plan{Spec: v1alpha1.PlanSpec{Templates: batch}})
			if err != nil {
				p.stop()
				return err
			}
			found.add(batch, answer, cluster)
		}
		p.stop()
		if *output != asTable {
			err = printed{value: found}.print(c, *output)
		} else {
			err = found.tell(c.OutOrStdout())
		}
		if err != nil || len(found.Differences) == 0 {
			return err
		}
		return notAsAsked{}
	}
	return c
}

// toVerify lists the templates to compare; cluster is empty unless one alone is asked about.
func (h *hubAPI) toVerify(ctx context.Context, args []string) (all []v1alpha1.PlannedTemplate, cluster string, err error) {
	if len(args) == 1 && strings.Contains(args[0], "/") {
		o, err := h.resolve(args[0])
		if err != nil {
			return nil, "", err
		}
		d, err := h.distribution(ctx, o)
		if err != nil {
			return nil, "", err
		}
		return []v1alpha1.PlannedTemplate{templateOf(d)}, "", nil
	}
	if len(args) == 1 {
		if _, err := h.clusterNames(ctx, args); err != nil {
			return nil, "", err
		}
		cluster = args[0]
	}
	reader, err := enroll.NewClient(h.config)
	if err != nil {
		return nil, "", err
	}
	list := &v1alpha1.DistributionList{}
	for {
		if err := reader.List(ctx, list, client.Limit(500), client.Continue(list.Continue)); err != nil {
			return nil, "", enroll.Diagnose(h.what, err)
		}
		for i := range list.Items {
			d := &list.Items[i]
			isConcerned := func(c v1alpha1.DistributionCluster) bool { return cluster == "" || c.Name == cluster }
			if slices.ContainsFunc(d.Spec.Clusters, isConcerned) || slices.Contains(d.Spec.Leaving, cluster) {
				all = append(all, templateOf(d))
			}
		}
		if list.Continue == "" {
			return all, cluster, nil
		}
	}
}

func templateOf(d *v1alpha1.Distribution) v1alpha1.PlannedTemplate {
	t := d.Spec.Template
	return v1alpha1.PlannedTemplate{APIVersion: t.APIVersion, Kind: t.Kind, Namespace: t.Namespace, Name: t.Name}
}

// verification is what was compared, and what is not as it should be.
type verification struct {
	// Objects of the hub and their Copies in members that were compared.
	Objects     int          `json:"objects"`
	Copies      int          `json:"copies"`
	Differences []difference `json:"differences"`
}

// difference is one copy that is not as it should be, or could not be compared.
type difference struct {
	Cluster   string `json:"cluster"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// What is wrong: Missing, Different, Extra, or Unknown.
	What    string                   `json:"what"`
	Message string                   `json:"message,omitempty"`
	Fields  []v1alpha1.PlannedChange `json:"fields,omitempty"`
}

// add takes in one answer; what it tells of other objects than those asked about belongs to another question.
func (v *verification) add(asked []v1alpha1.PlannedTemplate, answer *v1alpha1.Plan, cluster string) {
	v.Objects += len(asked)
	for _, o := range answer.Status.Objects {
		if !slices.Contains(asked, o.PlannedTemplate) {
			continue
		}
		base := difference{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
		if o.Error != "" {
			base.What, base.Message = "Unknown", o.Error
			v.Differences = append(v.Differences, base)
			continue
		}
		for _, c := range o.Clusters {
			if cluster != "" && c.Name != cluster {
				continue
			}
			v.Copies++
			d := base
			d.Cluster = c.Name
			if d.What, d.Message, d.Fields = whatDiffers(c); d.What != "" {
				v.Differences = append(v.Differences, d)
			}
		}
	}
}

// whatDiffers says what is wrong with a copy; empty if nothing is.
func whatDiffers(c v1alpha1.PlannedCluster) (what, message string, fields []v1alpha1.PlannedChange) {
	message = why(c.VerdictReason, c.VerdictMessage)
	switch {
	case c.Leaving && c.Verdict == v1alpha1.VerdictDeleted:
		return "Extra", "it is to be removed", nil
	case c.Leaving:
		return "", "", nil
	case c.Verdict == v1alpha1.VerdictCreated:
		return "Missing", "", nil
	case c.Verdict == v1alpha1.VerdictConfigured && len(c.Changes) > 0:
		return "Different", "", c.Changes
	case c.Verdict == "":
		return "Unknown", "the member was not asked", nil
	case !isVerdictGood(c.Verdict):
		return "Unknown", string(c.Verdict) + " " + message, c.Changes
	}
	return "", "", nil
}

// tell prints it for people.
func (v *verification) tell(w io.Writer) error {
	t := &teller{w: w}
	for _, d := range v.Differences {
		where := ""
		if d.Namespace != "" {
			where = " in " + d.Namespace
		}
		line := fmt.Sprintf("%s  %s/%s%s: %s", orNone(d.Cluster), strings.ToLower(d.Kind), d.Name, where, d.What)
		if d.Message != "" {
			line += ": " + strings.TrimSpace(d.Message)
		}
		t.say("%s", line)
		for _, f := range d.Fields {
			t.say("    %s %s: has %s, wanted %s", f.Op, f.Path, orNone(f.From), orNone(f.To))
		}
	}
	if len(v.Differences) == 0 {
		t.say("%d copies of %d objects are as they should be.", v.Copies, v.Objects)
	} else {
		t.say("%d of %d copies of %d objects are not as they should be.", len(v.Differences), v.Copies, v.Objects)
	}
	return t.err
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
