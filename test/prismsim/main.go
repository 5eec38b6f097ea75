// Command prismsim serves a simulated Nutanix Prism Central over TLS. What it
// holds is a Model in YAML or JSON; what it serves and refuses, and how it is
// made to fail, is in docs/simulator.md.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // the program's root
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintln(os.Stderr, "prismsim:", err)
		stop()
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	model, faults, caOut string
	listen               string
	user, passwordEnv    string
	apiVersion           string
	taskDelay, bootDelay time.Duration
	sessionLifetime      time.Duration
	dumpModel            bool
}

// defaultPassword is that of --user unless the environment has another.
const defaultPassword = "nutanix/4u" //nolint:gosec // of a simulator

func parse(args []string, errs io.Writer) (settings, error) {
	var o settings
	flags := flag.NewFlagSet("prismsim", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&o.model, "model", "", "`file` with the model, YAML or JSON; without it the default model is served")
	flags.StringVar(&o.faults, "faults", "", "`file` with a list of faults, YAML or JSON")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:9440", "`address` to serve TLS at; port 0 takes a free one")
	flags.StringVar(&o.caOut, "ca-out", "", "`file` to write the certificate to that clients are to trust")
	flags.StringVar(&o.user, "user", "admin", "name of the account")
	flags.StringVar(&o.passwordEnv, "password-env", "PRISMSIM_PASSWORD",
		"`variable` of the environment that holds the password; when it is empty the password is "+defaultPassword)
	flags.StringVar(&o.apiVersion, "api-version", "", "newest version of the v4 API that is served, to play an older Prism Central")
	flags.DurationVar(&o.taskDelay, "task-delay", time.Second, "how long a task takes")
	flags.DurationVar(&o.bootDelay, "boot-delay", 3*time.Second, "how long a VM boots before it has an address")
	flags.DurationVar(&o.sessionLifetime, "session-lifetime", simulator.DefaultSessionLifetime, "how long a login holds")
	flags.BoolVar(&o.dumpModel, "dump-model", false, "print the model as YAML and end")
	if err := flags.Parse(args); err != nil {
		return o, err //nolint:wrapcheck // flag says which, and has printed it
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return o, nil
}

func run(ctx context.Context, args []string, getenv func(string) string, out, errs io.Writer) error {
	o, err := parse(args, errs)
	if err != nil {
		return err
	}
	model, err := readModel(o.model)
	if err != nil {
		return err
	}
	if o.dumpModel {
		return dump(model, out)
	}
	password := getenv(o.passwordEnv)
	if password == "" {
		password = defaultPassword
	}
	prism := simulator.New(simulator.Options{
		Model: model, Username: o.user, Password: password, APIVersion: o.apiVersion,
		TaskDelay: o.taskDelay, BootDelay: o.bootDelay, SessionLifetime: o.sessionLifetime, Log: errs,
	})
	defer prism.Close()
	if err := addFaults(prism, o.faults); err != nil {
		return err
	}
	return serve(ctx, o, prism, out)
}

func readModel(file string) (simulator.Model, error) {
	if file == "" {
		return simulator.DefaultModel(), nil
	}
	data, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return simulator.Model{}, fmt.Errorf("model: %w", err)
	}
	model, err := simulator.LoadModel(data)
	if err != nil {
		return simulator.Model{}, fmt.Errorf("%s: %w", file, err)
	}
	return model, nil
}

func dump(model simulator.Model, out io.Writer) error {
	text, err := model.YAML()
	if err == nil {
		_, err = out.Write(text)
	}
	return err
}

func addFaults(prism *simulator.Server, file string) error {
	if file == "" {
		return nil
	}
	data, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	faults, err := simulator.LoadFaults(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for i, f := range faults {
		if _, err := prism.AddFault(f); err != nil {
			return fmt.Errorf("%s: number %d: %w", file, i+1, err)
		}
	}
	return nil
}

// serve answers until the context ends, and says then what there was.
func serve(ctx context.Context, o settings, prism *simulator.Server, out io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	own, ca, err := certificate(host, time.Now()) //nolint:forbidigo // certificates live by the real clock
	if err != nil {
		return err
	}
	if o.caOut != "" {
		if err := os.WriteFile(o.caOut, ca, 0o600); err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
	}
	server := &http.Server{
		Handler: prism, ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12},
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	greet(o, listener.Addr(), out)
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	farewell(prism, out)
	return nil
}

func greet(o settings, at net.Addr, out io.Writer) {
	trust := "-k"
	if o.caOut != "" {
		trust = "--cacert " + o.caOut
	}
	_, _ = fmt.Fprintf(out, `Prism Central is simulated at https://%[1]s
Log in as %[2]s; the password is in $%[3]s, or %[4]s when that is empty.
Try: curl %[5]s -u %[2]s https://%[1]s/api/vmm/v4.2/ahv/config/vms
What is not simulated is answered with 501 and written to standard error. Ctrl-C ends it.
`, at, o.user, o.passwordEnv, defaultPassword, trust)
}

func farewell(prism *simulator.Server, out io.Writer) {
	total := 0
	for _, n := range prism.Requests() {
		total += n
	}
	_, _ = fmt.Fprintf(out, "%d requests were answered, %d refused, by %d sessions; %d VMs are left.\n",
		total, len(prism.Refused()), len(prism.Sessions()), len(prism.VMs()))
}
