package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/kinds/rules"
)

func newKindRule() *cobra.Command {
	c := &cobra.Command{
		Use:   "kindrule",
		Short: "What the hub knows of custom kinds: see the rules that it ships, try one of your own",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newKindRuleTest(), newKindRuleShipped())
	return c
}

func newKindRuleTest() *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use:   "test -f RULE -f OBJECT",
		Short: "What a KindRule makes of objects, without a hub",
		Long: `What a KindRule makes of objects, without a hub.

The files hold KindRules and objects of the kinds that they are about, as a cluster returns them (kubectl get -o yaml).
An object whose kind has no rule in the files is judged by the rule that the hub ships, or else as any custom resource.
Nothing is written anywhere.

Shown are the mode, the replicas, what an object needs, its health, what the status of the template would be with the
object as the only member's, and what a member would be sent that gets one replica less than all.

The exit code is 1 when a rule cannot be used, and 3 when an object cannot be understood by its rule.`,
		Example: `  hanse kindrule test -f rule.yaml -f object.yaml
  kubectl get rollout web -o yaml | hanse kindrule test -f rule.yaml -f -`,
		Args: cobra.NoArgs,
	}
	output := formatFlag(c, asJSON, asYAML)
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "rules and objects (YAML or JSON; - is standard input)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if len(files) == 0 {
			return usagef("-f FILE is missing: a KindRule, and objects to try it on")
		}
		lessons, objects, err := readTrial(c.InOrStdin(), files)
		if err != nil {
			return err
		}
		if len(objects) == 0 {
			_, err := fmt.Fprintf(c.OutOrStdout(), "%d rules can be used; there is no object in the files to try them on\n",
				len(lessons))
			return err
		}
		trials, err := tryAll(lessons, objects)
		if err != nil {
			return err
		}
		if *output != asTable {
			err = printed{value: trials}.print(c, *output)
		} else {
			err = tellTrials(c.OutOrStdout(), trials)
		}
		if slices.ContainsFunc(trials, func(t trial) bool { return t.Error != "" }) && err == nil {
			return notAsAsked{}
		}
		return err
	}
	return c
}

// trial is what came out for one object.
type trial struct {
	Object string `json:"object"`
	Rule   string `json:"rule"`
	rules.Trial
}

// readTrial reads rules and objects, and compiles the rules.
func readTrial(
	stdin io.Reader, files []string,
) (lessons map[schema.GroupKind]kinds.Lesson, objects []*unstructured.Unstructured, err error) {
	lessons = map[schema.GroupKind]kinds.Lesson{}
	for _, file := range files {
		read, err := readManifests(stdin, file)
		if err != nil {
			return nil, nil, err
		}
		for _, obj := range read {
			if obj.GetKind() != "KindRule" || obj.GroupVersionKind().Group != v1alpha1.GroupVersion.Group {
				whole, err := wholeNumbers(obj)
				if err != nil {
					return nil, nil, err
				}
				objects = append(objects, whole)
				continue
			}
			var rule v1alpha1.KindRule
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, &rule, true); err != nil {
				return nil, nil, failure("Correct the field; kubectl explain kindrule.spec shows all.",
					"KindRule %s in %s: %v", obj.GetName(), file, err)
			}
			lesson, err := rules.Compile(&rule.Spec)
			if err != nil {
				return nil, nil, failure("Correct it; a hub refuses it with the same words.",
					"KindRule %s in %s: %v", obj.GetName(), file, err)
			}
			lessons[rules.KindOf(&rule)] = lesson
		}
	}
	return lessons, objects, nil
}

// wholeNumbers is the object as an API server's client reads it: whole numbers are no fractions.
func wholeNumbers(obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	raw, err := obj.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("reading %s/%s: %w", obj.GetKind(), obj.GetName(), err)
	}
	read := &unstructured.Unstructured{}
	if err := read.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("reading %s/%s: %w", obj.GetKind(), obj.GetName(), err)
	}
	return read, nil
}

func tryAll(lessons map[schema.GroupKind]kinds.Lesson, objects []*unstructured.Unstructured) ([]trial, error) {
	shipped, err := rules.Shipped()
	if err != nil {
		return nil, err
	}
	trials := make([]trial, 0, len(objects))
	for _, obj := range objects {
		gk := obj.GroupVersionKind().GroupKind()
		rule, origin := kinds.For(gk), "as any custom resource"
		if kinds.IsKnown(gk) {
			origin = "the hub's own"
		}
		for _, s := range shipped {
			if rules.KindOf(s) != gk {
				continue
			}
			lesson, err := rules.Compile(&s.Spec)
			if err != nil {
				return nil, fmt.Errorf("the shipped rule %s: %w", s.Name, err)
			}
			rule, origin = kinds.Taught(lesson), "shipped with the hub"
		}
		if lesson, taught := lessons[gk]; taught {
			rule, origin = kinds.Taught(lesson), "of the files"
		}
		trials = append(trials, trial{
			Object: obj.GetKind() + "/" + obj.GetName(), Rule: origin, Trial: rules.Try(rule, obj, time.Now()),
		})
	}
	return trials, nil
}

// tellTrials prints for people.
func tellTrials(w io.Writer, trials []trial) error {
	var b strings.Builder
	for i, t := range trials {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s\n", t.Object)
		line := func(what, text string) {
			if text != "" {
				fmt.Fprintf(&b, "  %-9s %s\n", what, text)
			}
		}
		line("rule", t.Rule)
		line("ERROR", t.Error)
		line("mode", string(t.Mode))
		if t.Replicas != nil {
			line("replicas", fmt.Sprintf("%d, %d ready", *t.Replicas, *t.Ready))
		}
		for _, key := range sortedNames(t.Numbers) {
			line("divides", fmt.Sprintf("%s = %d", key, t.Numbers[key]))
		}
		line("follows", t.Follows)
		line("needs", strings.Join(t.Dependencies, ", "))
		line("health", strings.TrimSuffix(string(t.Health)+": "+t.Message, ": "))
		block(&b, "status on the hub", t.Status)
		block(&b, "sent to a member", t.Sent)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// block prints an object under a title.
func block(b *strings.Builder, title string, object map[string]any) {
	raw, err := yaml.Marshal(object)
	if err != nil || len(object) == 0 {
		return
	}
	fmt.Fprintf(b, "  %s\n", title)
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		fmt.Fprintf(b, "    %s\n", line)
	}
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func newKindRuleShipped() *cobra.Command {
	c := &cobra.Command{
		Use:   "shipped [NAME]",
		Short: "The rules that the hub ships; with a NAME, that rule to begin from",
		Example: `  hanse kindrule shipped
  hanse kindrule shipped rollout.argoproj.io -o yaml > rule.yaml`,
		Args: cobra.MaximumNArgs(1),
	}
	output := formatFlag(c, asJSON, asYAML, asName)
	c.RunE = func(c *cobra.Command, args []string) error {
		shipped, err := rules.Shipped()
		if err != nil {
			return err
		}
		if len(args) == 1 {
			i := slices.IndexFunc(shipped, func(r *v1alpha1.KindRule) bool { return r.Name == args[0] })
			if i < 0 {
				return usagef("no rule %q is shipped; hanse kindrule shipped lists all", args[0])
			}
			return printed{value: shipped[i]}.print(c, cmp.Or(*output, asYAML))
		}
		p := printed{value: shipped, head: []string{"NAME", "KIND", "MODE"}}
		for _, r := range shipped {
			lesson, err := rules.Compile(&r.Spec)
			if err != nil {
				return fmt.Errorf("the shipped rule %s: %w", r.Name, err)
			}
			mode := kinds.Taught(lesson).Mode(&unstructured.Unstructured{Object: map[string]any{}})
			p.names = append(p.names, "kindrule/"+r.Name)
			p.rows = append(p.rows, []string{r.Name, r.Spec.Kind, string(mode)})
		}
		return p.print(c, *output)
	}
	return c
}
