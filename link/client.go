package link

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"

	"github.com/wattveil/wattveil"
)

// Config says how a meter reaches its collectors.
type Config struct {
	Brokers  []string // mqtt:// or mqtts:// addresses, tried in turn; one that refuses frames for long is left for another
	ID       wattveil.MeterID
	Password string
	// Authority signs the certificates of collectors, which name Domain as
	// theirs; for mqtts:// addresses.
	Authority *x509.Certificate
	Domain    string
	// Spread is within what time the first connection is begun, at most an
	// hour, so that a network of meters that start together does not call at
	// once.
	Spread     time.Duration
	Now        func() time.Time // for certificates; time.Now if nil
	AckTimeout time.Duration    // real time to wait for a PUBACK; 10 s if zero
	Log        *slog.Logger     // discards if nil
}

// Errors of [Client.Publish]. Neither says that the frame was not taken: only
// an acknowledgement says that it was.
var (
	// ErrRefused: the broker answered that it cannot take the frame now.
	ErrRefused = errors.New("collector refused the frame")
	// ErrNotAcknowledged: no acknowledgement came, or there is no connection.
	ErrNotAcknowledged = errors.New("collector did not acknowledge the frame")
)

var errClosed = errors.New("it is closed")

const (
	defaultAckTimeout = 10 * time.Second
	keepAliveSeconds  = 30
	connectTimeout    = 10 * time.Second
	minBackoff        = 50 * time.Millisecond
	maxBackoff        = 30 * time.Second
	firstBackoff      = time.Second
	backoffFactor     = 1.6
	maxSpread         = time.Hour
	reasonTakenOver   = 0x8e // of a DISCONNECT, MQTT 5
	downlinkBuffer    = 64
	receiveMaximum    = 16 // downlinks that are not acknowledged
)

// Client is a meter's connection, kept up in the background. It is safe for
// concurrent use.
type Client struct {
	cfg      Config
	conn     *autopaho.ConnectionManager
	ctx      context.Context // until Close
	cancel   context.CancelFunc
	downlink chan []byte

	takenOver atomic.Uint64
	turns     turns

	mu         sync.Mutex
	ready      chan struct{}      // closed while subscribed
	session    context.Context    // until the present connection is lost
	disconnect context.CancelFunc // ends session
	why        error              // the last attempt to connect failed, if it did
}

// Dial starts to connect and returns at once. It fails only if the
// configuration is unusable.
func Dial(cfg Config) (*Client, error) {
	if cfg.AckTimeout == 0 {
		cfg.AckTimeout = defaultAckTimeout
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	urls, err := cfg.parseBrokers()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{
		cfg: cfg, ctx: ctx, cancel: cancel,
		downlink:   make(chan []byte, downlinkBuffer),
		ready:      make(chan struct{}),
		session:    ctx,
		disconnect: func() {},
		turns:      turns{of: make([]turn, len(urls))},
	}
	c.conn, err = autopaho.NewConnection(ctx, c.pahoConfig(urls))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("link of meter %v: %w", cfg.ID, err)
	}
	return c, nil
}

func (cfg *Config) parseBrokers() ([]*url.URL, error) {
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("link: no collector given; name at least one mqtt://HOST:PORT")
	}
	urls := make([]*url.URL, len(cfg.Brokers))
	for i, b := range cfg.Brokers {
		u, err := url.Parse(b)
		if err != nil || u.Host == "" || (u.Scheme != "mqtt" && u.Scheme != "mqtts") {
			return nil, fmt.Errorf("link: collector address %q: want mqtt://HOST:PORT or mqtts://HOST:PORT", b)
		}
		if u.Scheme == "mqtts" && cfg.Authority == nil {
			return nil, fmt.Errorf("link: collector address %q: the authority of its certificate is not known; have the meter provisioned anew", b)
		}
		urls[i] = u
	}
	return urls, nil
}

func (c *Client) pahoConfig(urls []*url.URL) autopaho.ClientConfig {
	return autopaho.ClientConfig{
		ServerUrls:           urls,
		TlsCfg:               c.cfg.tlsConfig(),
		AttemptConnection:    c.attempt(urls),
		KeepAlive:            keepAliveSeconds,
		ConnectPacketBuilder: c.connect,
		ConnectTimeout:       connectTimeout,
		ReconnectBackoff:     c.backoff(),
		OnConnectionUp:       c.connectionUp,
		OnConnectionDown:     c.connectionDown,
		OnConnectError:       c.notConnected,
		ClientConfig: paho.ClientConfig{
			ClientID:          c.cfg.ID.String(),
			PacketTimeout:     c.cfg.AckTimeout,
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){c.received},
			OnServerDisconnect: func(d *paho.Disconnect) {
				if d.ReasonCode == reasonTakenOver {
					c.takenOver.Add(1)
				}
			},
		},
	}
}

// backoff is how long to wait before an attempt to connect. All waits are
// random: meters that lose their collector together come back one by one. Of
// two devices under one name each waits long, so that both get something done.
func (c *Client) backoff() func(attempt int) time.Duration {
	again := autopaho.NewExponentialBackoff(minBackoff, maxBackoff, firstBackoff, backoffFactor)
	first, seen := true, uint64(0) // one goroutine asks
	return func(attempt int) time.Duration {
		c.turns.begin(attempt)
		switch {
		case attempt > 0:
			return again(attempt)
		case first:
			first = false
			return upTo(c.cfg.Spread)
		case c.TakenOver() > seen:
			seen = c.TakenOver()
			return upTo(maxBackoff)
		default:
			return upTo(firstBackoff)
		}
	}
}

// upTo is a random time from none to d, at most an hour.
func upTo(d time.Duration) time.Duration {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	d = min(d, maxSpread)
	return time.Duration(uint64(d.Microseconds())*uint64(binary.BigEndian.Uint32(b[:]))>>32) * time.Microsecond
}

// notConnected keeps why, for whoever waits.
func (c *Client) notConnected(err error) {
	if errors.Is(err, errAside) {
		return // the next pass tries it
	}
	c.cfg.Log.Debug("no connection to the collector", "meter", c.cfg.ID)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.why = explain(err)
}

// connect fills in the CONNECT packet. Every connection starts anew: what was
// under way on the last one is published again by whoever published it.
func (c *Client) connect(p *paho.Connect, _ *url.URL) (*paho.Connect, error) {
	p.CleanStart = true
	if p.Properties == nil {
		p.Properties = new(paho.ConnectProperties)
	}
	p.Properties.ReceiveMaximum = paho.Uint16(receiveMaximum) // the client makes room for as many: 512 kB if it is left out
	p.UsernameFlag, p.Username = true, c.cfg.ID.String()
	p.PasswordFlag, p.Password = true, []byte(c.cfg.Password)
	return p, nil
}

// connectionUp may run before Dial has c.conn.
func (c *Client) connectionUp(conn *autopaho.ConnectionManager, _ *paho.Connack) {
	ctx, cancel := context.WithCancel(c.ctx)
	c.mu.Lock()
	c.session, c.disconnect, c.why = ctx, cancel, nil
	c.mu.Unlock()
	go c.subscribe(ctx, conn)
}

// subscribe runs after each connect, until it has succeeded or the connection
// is lost. Until then no frame is published, so that no answer is missed.
func (c *Client) subscribe(ctx context.Context, conn *autopaho.ConnectionManager) {
	for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
		if err := c.trySubscribe(ctx, conn); err == nil {
			c.subscribedNow(ctx)
			return
		}
		if ctx.Err() == nil {
			c.cfg.Log.Warn("collector refused the subscription", "meter", c.cfg.ID)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (c *Client) trySubscribe(ctx context.Context, conn *autopaho.ConnectionManager) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.AckTimeout)
	defer cancel()
	_, err := conn.Subscribe(ctx, &paho.Subscribe{
		Subscriptions: []paho.SubscribeOptions{{Topic: DownTopic(c.cfg.ID), QoS: 1}},
	})
	return err
}

// subscribedNow lets publishers go, unless the connection is another one
// already.
func (c *Client) subscribedNow(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() == nil {
		close(c.ready)
	}
}

func (c *Client) connectionDown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disconnect()
	select {
	case <-c.ready:
		c.ready = make(chan struct{})
	default:
	}
	return true // connect again
}

func (c *Client) subscribed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready
}

func (c *Client) present() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// received hands a downlink on. One that finds no room is dropped: whoever
// sent it sends it again when the meter asks again.
func (c *Client) received(p paho.PublishReceived) (bool, error) {
	select {
	case c.downlink <- p.Packet.Payload:
	default:
		c.cfg.Log.Warn("downlink dropped, meter is busy", "meter", c.cfg.ID)
	}
	return true, nil
}

// Await waits until the meter is connected and subscribed.
func (c *Client) Await(ctx context.Context) error {
	select {
	case <-c.subscribed():
		return nil
	case <-c.ctx.Done():
		return fmt.Errorf("link of meter %v: %w", c.cfg.ID, errClosed)
	case <-ctx.Done():
		return fmt.Errorf("link of meter %v to %v: %w", c.cfg.ID, c.cfg.Brokers, c.because(ctx.Err()))
	}
}

// because adds to an error why the last attempt to connect has failed, if it
// has.
func (c *Client) because(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == nil {
		return err
	}
	return fmt.Errorf("%w: %w", c.why, err)
}

// Publish sends a frame and returns nil once the collector has acknowledged
// that it holds it.
func (c *Client) Publish(ctx context.Context, frame []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.AckTimeout)
	defer cancel()
	if err := c.Await(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrNotAcknowledged, err)
	}
	// No acknowledgement comes over a connection that is lost.
	session := c.present()
	defer context.AfterFunc(session, cancel)()
	ack, err := c.conn.Publish(ctx, &paho.Publish{QoS: 1, Topic: UpTopic(c.cfg.ID), Payload: frame})
	if err != nil && (ack == nil || ack.ReasonCode < reasonUnspecified) {
		return fmt.Errorf("%w: %w", ErrNotAcknowledged, err)
	}
	return c.acknowledged(session, ack.ReasonCode)
}

// Receive delivers frames for this meter.
func (c *Client) Receive() <-chan []byte { return c.downlink }

// TakenOver is how many connections were ended because another device connected
// under this meter's name.
func (c *Client) TakenOver() uint64 { return c.takenOver.Load() }

// Close ends the connection.
func (c *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := c.conn.Disconnect(ctx)
	c.cancel()
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("close link of meter %v: %w", c.cfg.ID, err)
	}
	return nil
}
