package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-federation/hanse/api/printable"
)

// logsRequest is what logs is asked for.
type logsRequest struct {
	clusters  []string
	container string
	all       bool
	follow    bool
	raw       bool
	options   corev1.PodLogOptions
	tail      int64
	since     time.Duration
}

func newLogs(hub *access) *cobra.Command {
	var req logsRequest
	c := &cobra.Command{
		Use:   "logs KIND/NAME",
		Short: "Logs of an object's pods in all members",
		Long: `Logs of the pods of an object in all members that have it, or of one pod (pod/NAME). When there are several, each
line says which cluster and pod it is from.

With --follow, pods are followed that come later, in whichever cluster, and containers that start again; it ends when
all pods have ended, or when it is interrupted, and says meanwhile who does not answer. Without, the exit code is 3 if
some clusters or pods did not answer.`,
		Example: `  hanse logs deployment/web -n shop
  hanse logs deployment/web -f --cluster east --since 10m`,
		Args: oneArg("KIND/NAME"),
	}
	f := c.Flags()
	clusterFlag(c, hub, &req.clusters)
	f.StringVarP(&req.container, "container", "c", "", "only this container (default: the pod's default, or first)")
	f.BoolVar(&req.all, "all-containers", false, "of all containers")
	f.BoolVarP(&req.follow, "follow", "f", false, "go on as lines are written")
	f.Int64Var(&req.tail, "tail", -1, "only so many last lines of each pod (default: all of one pod, 10 of several)")
	f.DurationVar(&req.since, "since", 0, "only lines of the last time, such as 10m")
	f.BoolVarP(&req.options.Previous, "previous", "p", false, "of the container that ran before")
	f.BoolVar(&req.options.Timestamps, "timestamps", false, "with the time of each line")
	f.BoolVar(&req.raw, "raw", false, "pass every byte on; without, control characters other than colors are escaped")
	c.RunE = func(c *cobra.Command, args []string) error {
		if req.all && req.container != "" {
			return usagef("--all-containers excludes --container")
		}
		h, err := hub.connect()
		if err != nil {
			return err
		}
		o, err := h.resolve(args[0])
		if err != nil {
			return err
		}
		if req.follow {
			return followLogs(c, h, o, req)
		}
		return runLogs(c, h, o, req)
	}
	return c
}

// logSource is one container of one pod in one member.
type logSource struct {
	cluster   string
	pod       *corev1.Pod
	container string
	prefix    string
}

func runLogs(c *cobra.Command, h *hubAPI, o object, req logsRequest) error {
	ctx := c.Context()
	names, err := h.where(ctx, o, req.clusters)
	if err != nil {
		return err
	}
	sources, silent, err := h.logSources(ctx, names, o, req)
	if err != nil {
		return err
	}
	if len(sources) == 0 && len(silent) < len(names) {
		say(c.ErrOrStderr(), silent)
		return failure("hanse status "+o.String()+" shows how it is.", "%s has no pods in the clusters that answered", o)
	}
	options := req.podOptions(len(sources), c.Flags().Changed("tail"))
	out := &lineWriter{w: rawOf(c.OutOrStdout()), isRaw: req.raw}
	for _, s := range sources { // one after the other: the lines of a pod stay together
		if err := h.readLog(ctx, s, options, out); err != nil && ctx.Err() == nil {
			silent = append(silent, silence{s.cluster + "/" + s.pod.Name, err})
		}
	}
	return outcomeOf(c.ErrOrStderr(), len(names)+len(sources), silent)
}

// podOptions are what each of some pods is asked for.
func (req logsRequest) podOptions(sources int, isTailGiven bool) corev1.PodLogOptions {
	options := req.options
	if tail := tailOf(req, sources, isTailGiven); tail >= 0 {
		options.TailLines = &tail
	}
	if req.since > 0 {
		seconds := int64(req.since.Seconds())
		options.SinceSeconds = &seconds
	}
	return options
}

// tailOf is how many last lines of each pod are shown; negative is all.
func tailOf(req logsRequest, sources int, isGiven bool) int64 {
	const some = 10
	if !isGiven && sources > 1 && req.since == 0 {
		return some
	}
	return req.tail
}

// logSources finds the containers to read, by cluster and pod.
func (h *hubAPI) logSources(ctx context.Context, names []string, o object, req logsRequest) (
	[]logSource, []silence, error) {
	pods, silent := h.podsOf(ctx, names, o)
	var sources []logSource
	for i, name := range names {
		for _, pod := range pods[i] {
			containers, err := containersOf(&pod, req)
			if err != nil {
				return nil, nil, failure("Name another with --container.", "in %s: %v", name, err)
			}
			for _, container := range containers {
				sources = append(sources, logSource{cluster: name, pod: &pod, container: container})
			}
		}
	}
	if len(sources) > 1 {
		for i := range sources {
			sources[i].prefix = prefixOf(sources[i], req.all)
		}
	}
	return sources, silent, nil
}

// prefixOf says where a line is from.
func prefixOf(s logSource, withContainer bool) string {
	if withContainer {
		return fmt.Sprintf("[%s/%s %s] ", s.cluster, s.pod.Name, s.container)
	}
	return fmt.Sprintf("[%s/%s] ", s.cluster, s.pod.Name)
}

func containersOf(pod *corev1.Pod, req logsRequest) ([]string, error) {
	if !req.all {
		one, err := containerOf(pod, req.container)
		return []string{one}, err
	}
	var all []string
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		all = append(all, c.Name)
	}
	return all, nil
}

// readLog writes the lines of one container.
func (h *hubAPI) readLog(ctx context.Context, s logSource, options corev1.PodLogOptions, out *lineWriter) error {
	kube, err := kubernetes.NewForConfig(h.inMember(s.cluster))
	if err != nil {
		return fmt.Errorf("making a client of %s: %w", s.cluster, err)
	}
	options.Container = s.container
	stream, err := kube.CoreV1().Pods(s.pod.Namespace).GetLogs(s.pod.Name, &options).Stream(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	return out.copy(s.prefix, stream)
}

// lineWriter writes whole lines of several sources. Of what they say only colors reach the terminal, unless it is raw.
type lineWriter struct {
	mu    sync.Mutex
	w     io.Writer
	isRaw bool
}

func (l *lineWriter) copy(prefix string, from io.Reader) error {
	reader := bufio.NewReader(from)
	for {
		line, err := reader.ReadString('\n')
		if line != "" {
			if writeErr := l.write(prefix, line); writeErr != nil {
				return writeErr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (l *lineWriter) write(prefix, line string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if prefix != "" && line[len(line)-1] != '\n' {
		line += "\n"
	}
	if !l.isRaw {
		line = printable.Colored(line)
	}
	_, err := io.WriteString(l.w, oneLine(prefix)+line)
	return err
}
