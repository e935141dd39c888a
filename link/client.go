package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"

	"github.com/wattveil/wattveil"
)

// Config says how a meter reaches its collectors.
type Config struct {
	Brokers    []string // mqtt:// or mqtts:// addresses, tried in turn
	ID         wattveil.MeterID
	Password   string
	TLS        *tls.Config   // for mqtts://
	AckTimeout time.Duration // real time to wait for a PUBACK; 10 s if zero
	Log        *slog.Logger  // discards if nil
}

// Errors of [Client.Publish]. Neither says that the frame was not taken: only
// an acknowledgement says that it was.
var (
	// ErrRefused: the broker answered that it cannot take the frame now.
	ErrRefused = errors.New("collector refused the frame")
	// ErrNotAcknowledged: no acknowledgement came, or there is no connection.
	ErrNotAcknowledged = errors.New("collector did not acknowledge the frame")
)

const (
	defaultAckTimeout = 10 * time.Second
	keepAliveSeconds  = 30
	connectTimeout    = 10 * time.Second
	maxBackoff        = 30 * time.Second
	downlinkBuffer    = 64
)

// Client is a meter's connection, kept up in the background. It is safe for
// concurrent use.
type Client struct {
	cfg      Config
	conn     *autopaho.ConnectionManager
	cancel   context.CancelFunc
	downlink chan []byte

	mu    sync.Mutex
	ready chan struct{} // closed while subscribed
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
	urls, err := parseBrokers(cfg.Brokers)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{cfg: cfg, cancel: cancel, downlink: make(chan []byte, downlinkBuffer), ready: make(chan struct{})}
	c.conn, err = autopaho.NewConnection(ctx, c.pahoConfig(urls))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("link of meter %v: %w", cfg.ID, err)
	}
	return c, nil
}

func parseBrokers(brokers []string) ([]*url.URL, error) {
	if len(brokers) == 0 {
		return nil, errors.New("link: no collector given; name at least one mqtt://HOST:PORT")
	}
	urls := make([]*url.URL, len(brokers))
	for i, b := range brokers {
		u, err := url.Parse(b)
		if err != nil || u.Host == "" || (u.Scheme != "mqtt" && u.Scheme != "mqtts") {
			return nil, fmt.Errorf("link: collector address %q: want mqtt://HOST:PORT or mqtts://HOST:PORT", b)
		}
		urls[i] = u
	}
	return urls, nil
}

func (c *Client) pahoConfig(urls []*url.URL) autopaho.ClientConfig {
	return autopaho.ClientConfig{
		ServerUrls:                    urls,
		TlsCfg:                        c.cfg.TLS,
		KeepAlive:                     keepAliveSeconds,
		CleanStartOnInitialConnection: true,
		ConnectTimeout:                connectTimeout,
		ConnectUsername:               c.cfg.ID.String(),
		ConnectPassword:               []byte(c.cfg.Password),
		ReconnectBackoff:              autopaho.NewExponentialBackoff(50*time.Millisecond, maxBackoff, time.Second, 1.6),
		OnConnectionUp:                func(*autopaho.ConnectionManager, *paho.Connack) { go c.subscribe() },
		OnConnectionDown:              c.connectionDown,
		OnConnectError:                func(error) { c.cfg.Log.Debug("no connection to the collector", "meter", c.cfg.ID) },
		ClientConfig: paho.ClientConfig{
			ClientID:          c.cfg.ID.String(),
			PacketTimeout:     c.cfg.AckTimeout,
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){c.received},
		},
	}
}

// subscribe runs after each connect. Until it is done no frame is published,
// so that no answer is missed.
func (c *Client) subscribe() {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.AckTimeout)
	defer cancel()
	_, err := c.conn.Subscribe(ctx, &paho.Subscribe{
		Subscriptions: []paho.SubscribeOptions{{Topic: DownTopic(c.cfg.ID), QoS: 1}},
	})
	if err != nil {
		c.cfg.Log.Warn("collector refused the subscription", "meter", c.cfg.ID)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.ready:
	default:
		close(c.ready)
	}
}

func (c *Client) connectionDown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
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
	case <-ctx.Done():
		return fmt.Errorf("link of meter %v to %v: %w", c.cfg.ID, c.cfg.Brokers, ctx.Err())
	}
}

// Publish sends a frame and returns nil once the collector has acknowledged
// that it holds it.
func (c *Client) Publish(ctx context.Context, frame []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.AckTimeout)
	defer cancel()
	if err := c.Await(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrNotAcknowledged, err)
	}
	ack, err := c.conn.Publish(ctx, &paho.Publish{QoS: 1, Topic: UpTopic(c.cfg.ID), Payload: frame})
	if ack != nil && ack.ReasonCode >= 0x80 {
		return fmt.Errorf("%w: reason code %#x", ErrRefused, ack.ReasonCode)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAcknowledged, err)
	}
	return nil
}

// Receive delivers frames for this meter.
func (c *Client) Receive() <-chan []byte { return c.downlink }

// Close ends the connection.
func (c *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := c.conn.Disconnect(ctx)
	c.cancel()
	if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, autopaho.ConnectionDownError) {
		return fmt.Errorf("close link of meter %v: %w", c.cfg.ID, err)
	}
	return nil
}
