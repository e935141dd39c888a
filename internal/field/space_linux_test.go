package field

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// insideVariable tells a test process that it has a network of its own.
const insideVariable = "WATTVEIL_FIELD_INSIDE"

// enter runs the present test once more, as a process that has network and
// process namespaces of its own, and is root there. It tells whether this is
// that process. Namespaces have no names: when the process ends, however it
// does, the kernel ends all that it has started and takes the networks away.
func enter(t *testing.T) (inside bool) {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}
	if deadline, ok := t.Deadline(); ok {
		args = append(args, fmt.Sprintf("-test.timeout=%v", untilAlmost(deadline)))
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), insideVariable+"=1", builtVariable+"="+Binaries(t))
	cmd.SysProcAttr = namespaces()
	out := new(output)
	cmd.Stdout, cmd.Stderr = out, out
	if err := onThread(cmd.Start); err != nil {
		lacks(t, fmt.Errorf("make namespaces: %w", err))
	}
	err = cmd.Wait()
	t.Log(out.String())
	switch {
	case err != nil:
		t.Fatal(err)
	case out.skipped():
		t.Skip("see above")
	}
	return false
}

// lacks ends a test that this machine cannot run. In CI it must.
func lacks(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// space is a host of its own: a network namespace with a loopback and one
// interface, whose other end is in the test's hands.
type space struct {
	name string
	ip   netip.Addr
	ns   int // file descriptor of the namespace
	wire *os.File
}

const (
	tunDevice = "/dev/net/tun"
	wireName  = "wire0"
	netmask   = 24
)

// newSpace makes a host.
func newSpace(name string, ip netip.Addr) (s *space, err error) {
	s = &space{name: name, ip: ip}
	err = onThread(func() (err error) {
		home, err := ownNamespace()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unix.Setns(home, unix.CLONE_NEWNET), unix.Close(home)) }()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		if s.ns, err = ownNamespace(); err != nil {
			return err
		}
		return s.connect()
	})
	return s, err
}

// ownNamespace opens the network namespace of this thread.
func ownNamespace() (int, error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the network namespace: %w", err)
	}
	return fd, nil
}

// connect makes the interface of the namespace that this thread is in.
func (s *space) connect() error {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", tunDevice, err)
	}
	request, err := unix.NewIfreq(wireName)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return fmt.Errorf("make a TUN interface: %w", err)
	}
	s.wire = os.NewFile(uintptr(fd), tunDevice) // the poller waits for its packets
	if err := raise("lo", netip.Addr{}); err != nil {
		return err
	}
	return raise(wireName, s.ip)
}

// raise puts an interface of this thread's namespace up, with an address if one
// is given.
func raise(name string, ip netip.Addr) error {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("put %s up: %w", name, err)
	}
	defer func() { _ = unix.Close(sock) }()
	set := func(what uint, fill func(*unix.Ifreq) error) error {
		request, err := unix.NewIfreq(name)
		if err == nil {
			err = fill(request)
		}
		if err == nil {
			err = unix.IoctlIfreq(sock, what, request)
		}
		if err != nil {
			return fmt.Errorf("put %s up: %w", name, err)
		}
		return nil
	}
	if ip.IsValid() {
		mask := net.CIDRMask(netmask, 32)
		err := errors.Join(
			set(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(ip.AsSlice()) }),
			set(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask) }))
		if err != nil {
			return err
		}
	}
	return set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
}

// inside does something in the namespace.
func (s *space) inside(do func() error) error {
	return onThread(func() (err error) {
		home, err := ownNamespace()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unix.Setns(home, unix.CLONE_NEWNET), unix.Close(home)) }()
		if err := unix.Setns(s.ns, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network of %s: %w", s.name, err)
		}
		return do()
	})
}

// Start implements [Host].
func (s *space) Start(cmd *exec.Cmd) error { return s.inside(cmd.Start) }

// Dial implements [Host].
func (s *space) Dial(ctx context.Context, address string) (conn net.Conn, err error) {
	err = s.inside(func() (err error) {
		conn, err = here{}.Dial(ctx, address)
		return err
	})
	return conn, err
}

func (s *space) close() {
	_ = s.wire.Close() // takes the interface away
	_ = unix.Close(s.ns)
}
