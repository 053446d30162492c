package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
)

// execRequest is what exec is asked for.
type execRequest struct {
	clusters   []string
	everywhere bool
	container  string
	stdin, tty bool
	command    []string
}

func newExec(hub *access) *cobra.Command {
	var req execRequest
	c := &cobra.Command{
		Use:   "exec KIND/NAME [--cluster CLUSTER | --all] -- COMMAND [ARGUMENT...]",
		Short: "Run a command in a pod of an object, in one member or in each",
		Long: `Run a command in a pod of an object: in its first ready pod in the cluster that is named, or with --all in one pod
in every cluster that has the object. An object that is in one cluster only needs neither.

The exit code is the command's own; with --all, that of the first cluster where it was not 0.`,
		Example: `  hanse exec deployment/web -n shop --cluster east -it -- sh
  hanse exec deployment/web -n shop --all -- cat /etc/resolv.conf`,
		Args: cobra.MinimumNArgs(2),
	}
	f := c.Flags()
	clusterFlag(c, hub, &req.clusters)
	f.BoolVar(&req.everywhere, "all", false, "in one pod in every cluster that has the object")
	f.StringVarP(&req.container, "container", "c", "", "in this container (default: the pod's default, or first)")
	f.BoolVarP(&req.stdin, "stdin", "i", false, "pass on the standard input")
	f.BoolVarP(&req.tty, "tty", "t", false, "the command gets a terminal")
	c.RunE = func(c *cobra.Command, args []string) error {
		if c.ArgsLenAtDash() != 1 {
			return usagef("write -- between KIND/NAME and the command")
		}
		req.command = args[1:]
		if req.everywhere && (req.stdin || req.tty || len(req.clusters) > 0) {
			return usagef("--all excludes --cluster, --stdin and --tty")
		}
		h, err := hub.connect()
		if err != nil {
			return err
		}
		o, err := h.resolve(args[0])
		if err != nil {
			return err
		}
		return runExec(c, h, o, req)
	}
	return c
}

func runExec(c *cobra.Command, h *hubAPI, o object, req execRequest) error {
	ctx := c.Context()
	names, err := h.where(ctx, o, req.clusters)
	if err != nil {
		return err
	}
	all, silent := h.podsOf(ctx, names, o)
	pods := make([]*corev1.Pod, len(names))
	var have []int
	var among []string
	for i, name := range names {
		if pods[i] = firstReady(all[i]); pods[i] != nil {
			have, among = append(have, i), append(among, name)
		} else if len(all[i]) > 0 {
			silent = append(silent, silence{name, fmt.Errorf("none of its %d pods runs", len(all[i]))})
		}
	}
	switch {
	case len(have) == 0:
		say(c.ErrOrStderr(), silent)
		return failure("hanse status "+o.String()+" shows how it is.", "no pod of %s can run a command", o)
	case len(have) > 1 && !req.everywhere:
		return usagef("%s is in %s: choose with --cluster, or take --all", o, strings.Join(among, ", "))
	case !req.everywhere:
		i := have[0]
		return h.execIn(ctx, names[i], pods[i], req, streamsOf(c, req))
	}
	return h.execInEach(c, names, pods, req, silent)
}

// execInEach runs the command in one pod of every member, one after the other.
func (h *hubAPI) execInEach(c *cobra.Command, names []string, pods []*corev1.Pod, req execRequest, silent []silence) error {
	var first error
	out := &lineWriter{w: rawOf(c.OutOrStdout()), isRaw: true}
	errOut := &lineWriter{w: rawOf(c.ErrOrStderr()), isRaw: true}
	for i, pod := range pods {
		if pod == nil {
			continue
		}
		prefix := fmt.Sprintf("[%s/%s] ", names[i], pod.Name)
		stdout, stderr := &prefixed{prefix: prefix, to: out}, &prefixed{prefix: prefix, to: errOut}
		err := h.execIn(c.Context(), names[i], pod, req, remotecommand.StreamOptions{Stdout: stdout, Stderr: stderr})
		stdout.flush()
		stderr.flush()
		if err != nil && first == nil {
			first = err
		}
		var ended commandEnded
		if err != nil && !errors.As(err, &ended) {
			silent = append(silent, silence{names[i], err})
		}
	}
	say(c.ErrOrStderr(), silent)
	if first == nil && len(silent) > 0 {
		return notAsAsked{fmt.Sprintf("%d of %d clusters did not run it", len(silent), len(names))}
	}
	return first
}

// firstReady is the pod that takes a command: the first that is ready or, if none is, that runs.
func firstReady(pods []corev1.Pod) *corev1.Pod {
	var running *corev1.Pod
	for i := range pods {
		pod := &pods[i]
		if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		isReady := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		if isReady {
			return pod
		}
		if running == nil {
			running = pod
		}
	}
	return running
}

// execIn runs the command in one pod. A command that fails is a commandEnded.
func (h *hubAPI) execIn(ctx context.Context, cluster string, pod *corev1.Pod, req execRequest,
	streams remotecommand.StreamOptions) error {
	container, err := containerOf(pod, req.container)
	if err != nil {
		return failure("Name another with --container.", "in %s: %v", cluster, err)
	}
	config := h.inMember(cluster)
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client of %s: %w", cluster, err)
	}
	url := kube.CoreV1().RESTClient().Get().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: container, Command: req.command, Stdin: streams.Stdin != nil, Stdout: true,
			Stderr: streams.Stderr != nil, TTY: streams.Tty,
		}, scheme.ParameterCodec).URL()
	// Members from 1.31 on speak WebSocket, and it passes through more proxies than SPDY does.
	executor, err := remotecommand.NewWebSocketExecutor(config, "GET", url.String())
	if err != nil {
		return fmt.Errorf("preparing the connection to %s: %w", cluster, err)
	}
	restore, err := rawTerminal(&streams)
	if err != nil {
		return err
	}
	err = executor.StreamWithContext(ctx, streams)
	restore()
	var code utilexec.CodeExitError
	if errors.As(err, &code) {
		return commandEnded{code: code.Code, cluster: cluster}
	}
	if err != nil {
		return failure("hanse clusters shows how the members are.", "in %s, pod %s: %s", cluster, pod.Name, reasonOf(err))
	}
	return nil
}

// streamsOf joins the command with our own streams, byte by byte: somebody runs it on purpose. With a terminal there is one output only.
func streamsOf(c *cobra.Command, req execRequest) remotecommand.StreamOptions {
	streams := remotecommand.StreamOptions{Stdout: rawOf(c.OutOrStdout()), Stderr: rawOf(c.ErrOrStderr()), Tty: req.tty}
	if req.stdin {
		streams.Stdin = c.InOrStdin()
	}
	if req.tty {
		streams.Stderr = nil
	}
	return streams
}

// rawTerminal hands every key to the command, if there is a terminal, and tells the command its size. The function gives
// the terminal back.
func rawTerminal(streams *remotecommand.StreamOptions) (restore func(), err error) {
	in, ok := streams.Stdin.(*os.File)
	if !streams.Tty || !ok || !term.IsTerminal(int(in.Fd())) {
		return func() {}, nil
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("preparing the terminal: %w", err)
	}
	sizes, stop := watchSize(in)
	streams.TerminalSizeQueue = sizes
	return func() { stop(); _ = term.Restore(int(in.Fd()), before) }, nil
}

// prefixed writes whole lines with a prefix.
type prefixed struct {
	prefix string
	to     *lineWriter
	rest   []byte
}

// Write implements io.Writer.
func (p *prefixed) Write(text []byte) (int, error) {
	p.rest = append(p.rest, text...)
	for {
		line, after, ok := bytes.Cut(p.rest, []byte("\n"))
		if !ok {
			return len(text), nil
		}
		if err := p.to.write(p.prefix, string(line)+"\n"); err != nil {
			return 0, err
		}
		p.rest = after
	}
}

// flush writes a last line that has no end.
func (p *prefixed) flush() {
	if len(p.rest) > 0 {
		_ = p.to.write(p.prefix, string(p.rest))
		p.rest = nil
	}
}
