package field

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// conditions are how bad the links of a network are, for each packet and in
// each direction. They mean what the same words mean to the kernel's netem,
// which not every kernel has: a packet that overtakes goes without the delay.
type conditions struct {
	loss, duplication, reordering float64
	delay                         time.Duration
	cut                           time.Duration // how long each link is cut, once
	reading                       time.Duration // between two of a meter
	calm                          time.Duration // until everything has arrived afterwards
}

// network carries the IP packets of hosts, badly.
type network struct {
	t      *testing.T
	is     conditions
	mu     sync.Mutex
	rng    *rand.Rand // guarded by mu
	spaces map[netip.Addr]*space
	hosts  map[string]*space // by party
	links  map[ends]*link
}

// ends are the two ends of a link, the lesser name first.
type ends [2]string

// link is the way between two parties.
type link struct {
	cut  atomic.Bool
	ways map[string]chan parcel // by the party at the end

	carried, lost, doubled, overtook, dropped atomic.Int64 // dropped while cut
}

// parcel is a packet and when it arrives.
type parcel struct {
	packet []byte
	at     time.Time
}

// paths are the pairs of parties that talk to each other. Others are not
// connected.
func paths() []ends {
	return []ends{
		{"east", "north"}, {"east", "south"}, {"north", "west"}, {"south", "west"},
		{"north", "utility"}, {"south", "utility"}, {"ttp", "utility"},
	}
}

const (
	inFlight  = 4096 // packets on a way; more are lost, as in a router
	maxPacket = 1 << 16
)

// newNetwork makes a host for each party and connects them.
func newNetwork(t *testing.T, is conditions) *network {
	t.Helper()
	n := &network{
		t: t, is: is, rng: rand.New(rand.NewPCG(seed(t), 1)),
		spaces: make(map[netip.Addr]*space), hosts: make(map[string]*space), links: make(map[ends]*link),
	}
	for i, name := range []string{"ttp", "utility", "north", "south", "east", "west"} {
		s, err := newSpace(name, netip.AddrFrom4([4]byte{10, 77, 0, byte(i + 1)}))
		if err != nil {
			lacks(t, err)
		}
		n.spaces[s.ip], n.hosts[name] = s, s
		t.Cleanup(s.close)
	}
	for _, path := range paths() {
		l := &link{ways: make(map[string]chan parcel)}
		for _, end := range path {
			l.ways[end] = make(chan parcel, inFlight)
			go l.deliver(n.hosts[end], l.ways[end])
		}
		n.links[path] = l
	}
	for _, s := range n.spaces {
		go n.carry(s)
	}
	return n
}

// host is where a party of a field runs.
func (n *network) host(party string) (Host, string) {
	s := n.hosts[party]
	return s, s.ip.String()
}

// carry takes the packets that a host sends, until its interface is closed.
func (n *network) carry(from *space) {
	b := make([]byte, maxPacket)
	for {
		size, err := from.wire.Read(b)
		if err != nil {
			return
		}
		if packet := b[:size]; len(packet) >= 20 && packet[0]>>4 == 4 {
			n.send(from, bytes.Clone(packet))
		}
	}
}

// send decides what becomes of an IPv4 packet.
func (n *network) send(from *space, packet []byte) {
	to := n.spaces[netip.AddrFrom4([4]byte(packet[16:20]))]
	if to == nil {
		return
	}
	path := ends{from.name, to.name}
	slices.Sort(path[:])
	l := n.links[path]
	if l == nil {
		return
	}
	if l.cut.Load() {
		l.dropped.Add(1)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rng.Float64() < n.is.loss {
		l.lost.Add(1)
		return
	}
	copies := 1
	if n.rng.Float64() < n.is.duplication {
		l.doubled.Add(1)
		copies = 2
	}
	for range copies {
		if n.rng.Float64() < n.is.reordering {
			l.overtook.Add(1)
			l.arrive(to, packet)
			continue
		}
		select {
		case l.ways[to.name] <- parcel{packet, time.Now().Add(n.is.delay)}:
		default:
			l.lost.Add(1)
		}
	}
}

// deliver holds packets back for their delay, in the order of their sending.
func (l *link) deliver(to *space, way <-chan parcel) {
	for p := range way {
		time.Sleep(time.Until(p.at))
		l.arrive(to, p.packet)
	}
}

func (l *link) arrive(to *space, packet []byte) {
	if l.cut.Load() {
		l.dropped.Add(1)
		return
	}
	if _, err := to.wire.Write(packet); err == nil {
		l.carried.Add(1)
	}
}

// cutEach cuts one link after the other, in a random order: for a while, and
// until something has tried to pass. That may also have gone another way.
func (n *network) cutEach(f *Field) {
	n.mu.Lock()
	order := paths()
	n.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	n.mu.Unlock()
	for _, path := range order {
		l, other := n.links[path], n.links[detour(path)]
		until := time.Now().Add(n.is.cut)
		var before int64
		if other != nil {
			before = other.carried.Load()
		}
		l.cut.Store(true)
		f.Until(fmt.Sprint(path, " was cut"), patience+n.is.cut, func() error {
			switch {
			case time.Now().Before(until):
				return errors.New("it is cut")
			case l.dropped.Load() == 0 && (other == nil || other.carried.Load() == before):
				return errors.New("nothing has tried to pass")
			default:
				return nil
			}
		})
		l.cut.Store(false)
	}
}

// detour is the way of the same meters to their other collector. Other links
// have none.
func detour(path ends) ends {
	return map[ends]ends{
		{"east", "north"}: {"east", "south"}, {"east", "south"}: {"east", "north"},
		{"north", "west"}: {"south", "west"}, {"south", "west"}: {"north", "west"},
	}[path]
}

// report prints what became of the packets, and fails if the network was not
// as bad as it should have been. Meters may have needed one collector only.
func (n *network) report() {
	n.t.Helper()
	for _, path := range paths() {
		l, other := n.links[path], n.links[detour(path)]
		n.t.Logf("%-7s - %-7s %5d packets arrived, %5d lost, %4d doubled, %4d out of order, %4d while it was cut", path[0], path[1],
			l.carried.Load(), l.lost.Load(), l.doubled.Load(), l.overtook.Load(), l.dropped.Load())
		if other == nil {
			other = new(link)
		}
		for _, count := range []int64{
			l.carried.Load() + other.carried.Load(), l.lost.Load() + other.lost.Load(), l.doubled.Load() + other.doubled.Load(),
			l.overtook.Load() + other.overtook.Load(), l.dropped.Load() + other.dropped.Load(),
		} {
			if count == 0 {
				n.t.Errorf("the link of %s and %s was not bad in each way", path[0], path[1])
			}
		}
	}
}

// Over links that lose, repeat, reorder and delay packets, and are cut for a
// while, everything arrives, once.
func TestBadNetwork(t *testing.T) {
	if !enter(t) {
		return
	}
	is := conditions{
		loss: 0.15, duplication: 0.1, reordering: 0.25, delay: 30 * time.Millisecond,
		cut: 2 * time.Second, reading: time.Second, calm: 2 * time.Minute,
	}
	if full() {
		is.loss, is.delay, is.cut, is.reading, is.calm = 0.3, 2*time.Second, 2*time.Minute, 30*time.Second, 30*time.Minute
	}
	if err := onThread(func() error { return raise("lo", netip.Addr{}) }); err != nil {
		lacks(t, err)
	}
	n := newNetwork(t, is)
	flags := []string{"--resolution", is.reading.String(), "--history", (200 * is.reading).String()}
	began := time.Now()
	f := New(t, Config{Host: n.host, Fleets: []Fleet{{Name: "east", Meters: 3, Flags: flags}, {Name: "west", Meters: 3, Flags: flags}}})
	f.Start(f.Fleets...)
	for _, p := range f.Fleets {
		f.Until("meters of "+p.Name+" have keys", is.calm, func() error {
			list, err := p.Meters()
			for _, m := range list {
				if m.State != keyed {
					return fmt.Errorf("meter %s is %s", m.Meter, m.State)
				}
			}
			return err
		})
	}
	t.Logf("all meters have keys after %v", time.Since(began).Round(time.Second))
	n.cutEach(f)
	through := time.Now()
	f.Drain(through, is.calm)
	t.Logf("everything has arrived %v after the last cut", time.Since(through).Round(time.Second))
	n.report()
	f.audit(through)
}

// output is what a process prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is all of it.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) skipped() bool { return strings.Contains(o.String(), "--- SKIP") }

// namespaces are those of a test's own network. Who is not root becomes it in a
// user namespace.
func namespaces() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if uid := os.Geteuid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// untilAlmost leaves time to report before a deadline.
func untilAlmost(deadline time.Time) time.Duration { return time.Until(deadline) * 9 / 10 }
