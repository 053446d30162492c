package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/enroll"
)

func newExplain(hub *access) *cobra.Command {
	c := &cobra.Command{
		Use:   "explain KIND/NAME",
		Short: "Why these clusters, why this many, and what is wrong",
		Args:  oneArg("KIND/NAME"),
	}
	output := formatFlag(c, asJSON, asYAML)
	c.RunE = func(c *cobra.Command, args []string) error {
		h, err := hub.connect()
		if err != nil {
			return err
		}
		o, err := h.resolve(args[0])
		if err != nil {
			return err
		}
		d, err := h.distribution(c.Context(), o)
		if err != nil {
			return err
		}
		if *output != asTable {
			return printed{value: d}.print(c, *output)
		}
		return explain(c.OutOrStdout(), d)
	}
	return c
}

// notPlaced says why an object has no Distribution.
func (h *hubAPI) notPlaced(ctx context.Context, o object) error {
	client, err := dynamic.NewForConfig(h.config)
	if err != nil {
		return fmt.Errorf("making a client for %s: %w", h.what, err)
	}
	template, err := o.resource(client).Get(ctx, o.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return noSuchObject(h, o)
	}
	if err != nil {
		return enroll.Diagnose(h.what, err)
	}
	if line := template.GetAnnotations()[v1alpha1.ClustersAnnotation]; line != "" {
		return failure("Look again in a moment. If it stays so, see the log of the hub.",
			"%s is to go to %q, but the hub has not decided yet", o, line)
	}
	next := "Say where it goes: hanse place %s --to CLUSTER=WEIGHT,... or write a Placement that selects it."
	return failure(fmt.Sprintf(next, o),
		"no placement selects %s, so it stays on the hub", o)
}

// explain tells the story of a decision: who decided, who was chosen and why, who was not, what is left over, what is
// wrong.
func explain(w io.Writer, d *v1alpha1.Distribution) error {
	story := &teller{w: w}
	story.heading(d)
	story.chosen(d)
	story.rejected(d)
	story.leftOver(d)
	story.wrong(d)
	return story.err
}

// teller writes until something fails.
type teller struct {
	w   io.Writer
	err error
}

func (t *teller) say(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

func (t *teller) table(rows [][]string) {
	if t.err == nil {
		t.err = writeTable(t.w, len(rows[0]), rows)
	}
}

func (t *teller) heading(d *v1alpha1.Distribution) {
	name := templateName(d)
	if ns := d.Spec.Template.Namespace; ns != "" {
		name += " in " + ns
	}
	if d.Spec.Replicas != nil {
		name += fmt.Sprintf(": %d replicas", *d.Spec.Replicas)
	}
	if d.Spec.Placement.Kind == "Dependency" {
		t.say("%s, %s", name, claimOf(d))
	} else {
		t.say("%s, placed by %s", name, claimOf(d))
	}
	if d.Spec.Paused {
		t.say("The placement is paused: nothing is changed in the clusters.")
	}
	for _, note := range d.Spec.Notes {
		t.say("Note: %s", note)
	}
}

func (t *teller) chosen(d *v1alpha1.Distribution) {
	if len(d.Spec.Clusters) == 0 {
		t.say("\nNo cluster was chosen.")
		return
	}
	rows := [][]string{{"CLUSTER", "REPLICAS", "EXACT SHARE", "WHY"}}
	for _, c := range d.Spec.Clusters {
		replicas := ""
		if c.Replicas != nil {
			replicas = fmt.Sprint(*c.Replicas)
		}
		rows = append(rows, []string{c.Name, replicas, c.Ideal, why(c.Reason, c.Message)})
	}
	t.say("")
	t.table(rows)
}

func (t *teller) rejected(d *v1alpha1.Distribution) {
	if len(d.Spec.Rejected) == 0 {
		return
	}
	rows := [][]string{{"NOT CHOSEN", "WHY"}}
	for _, c := range d.Spec.Rejected {
		rows = append(rows, []string{c.Name, why(c.Reason, c.Message)})
	}
	t.say("")
	t.table(rows)
}

func (t *teller) leftOver(d *v1alpha1.Distribution) {
	if d.Spec.Unplaced > 0 {
		t.say("\n%d of the replicas in no cluster: %s", d.Spec.Unplaced, d.Spec.UnplacedReason)
	}
	for _, name := range d.Spec.FollowedBy {
		t.say("%s follows it.", name)
	}
}

// wrong lists what is not as decided, each with what to do about it.
func (t *teller) wrong(d *v1alpha1.Distribution) {
	rows := [][]string{{"CLUSTER", "READY", "WHAT IS WRONG", "WHAT TO DO"}}
	for _, c := range outcomes(d) {
		if what, next := trouble(c); what != "" {
			rows = append(rows, []string{c.Name, readyOf(c), what, next})
		}
	}
	t.say("")
	if len(rows) > 1 {
		t.table(rows)
		return
	}
	if isReady(d) {
		t.say("All is as decided.")
		return
	}
	for _, c := range d.Status.Conditions {
		if c.Status != metav1.ConditionTrue {
			t.say("%s is %s: %s", c.Type, c.Status, why(c.Reason, c.Message))
		}
	}
}

// trouble is what is wrong in one member, and what to do; nothing if all is well there.
func trouble(c v1alpha1.ClusterOutcome) (what, next string) {
	switch {
	case c.Unknown:
		return "it cannot be reached; the figures are the last known", "hanse clusters -o wide says why"
	case c.Verdict == "Conflict":
		return why(c.Reason, c.Message), "remove the object there, or place it with onConflict: Adopt or Overwrite"
	case c.Verdict == "Failed" && c.Reason == "Forbidden":
		return why(c.Reason, c.Message), "hanse join " + c.Name + " --renew with --api-group or --cluster-admin"
	case c.Verdict == "Failed":
		return why(c.Reason, c.Message), "correct the object; the hub tries again by itself"
	case c.Verdict == "Pending":
		return why("not written yet", c.Message), "wait"
	case c.Health == "Degraded":
		return why("Degraded", c.HealthMessage), "see its pods and events in the cluster"
	case c.Health == "Progressing":
		return why("not ready yet", c.HealthMessage), "wait"
	}
	return "", ""
}

func why(reason, message string) string {
	switch {
	case reason == "" || reason == message:
		return message
	case message == "":
		return reason
	}
	return reason + ": " + message
}
