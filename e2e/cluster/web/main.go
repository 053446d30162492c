// Command web is the application that the members run where pods are real: it answers every request with the name of its
// pod and its version, so that a test sees which pod a DNS answer led to. Its log begins with "web of" and that name.
//
//	once        ends at once and well, as the pod of a Job does
//	say WORDS   prints them, echo prints the line that it reads, fail CODE ends so: for commands in a container
//	print WORDS prints them as the container's own program: they are in its log, and those who are attached see them
//	sizes       prints the rows and columns of its terminal, at first and whenever they change
package main

import (
	"bufio"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	argument := ""
	if len(os.Args) > 1 {
		argument = os.Args[1]
	}
	switch argument {
	case "once":
	case "say":
		fmt.Println(strings.Join(os.Args[2:], " "))
	case "echo":
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(line)
	case "fail":
		fmt.Fprintln(os.Stderr, "failing as asked")
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	case "print":
		if err := printAsContainer(strings.Join(os.Args[2:], " ")); err != nil {
			log.Fatal(err)
		}
	case "sizes":
		sizes()
	default:
		serve()
	}
}

// printAsContainer writes to the standard output of the container's first process.
func printAsContainer(words string) error {
	out, err := os.OpenFile("/proc/1/fd/1", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = fmt.Fprintln(out, words)
	return err
}

func sizes() {
	for last := ""; ; time.Sleep(100 * time.Millisecond) {
		size, err := unix.IoctlGetWinsize(int(os.Stdin.Fd()), unix.TIOCGWINSZ)
		if err != nil {
			fmt.Println("no terminal")
			return
		}
		if now := fmt.Sprintf("terminal of %d %d", size.Row, size.Col); now != last {
			fmt.Println(now)
			last = now
		}
	}
}

func serve() {
	pod, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("web of", pod)
	version := os.Getenv("VERSION") // set by the image
	answer := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s version %s\n", pod, version)
	}
	log.Fatal(http.ListenAndServe(":8080", http.HandlerFunc(answer)))
}
