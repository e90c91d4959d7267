// Go's amqp091 as fast as it goes: acknowledgements in multiples, deferred confirms.
package main

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	exchange = "Orderbook"
	key      = "simulated.BTC/USDT"
)

type book struct {
	Platform  string      `json:"p"`
	Symbol    string      `json:"s"`
	Asks      [][2]string `json:"a"`
	Bids      [][2]string `json:"b"`
	Timestamp int64       `json:"t"`
}

type event struct {
	Name string `json:"n"`
	Data book   `json:"d"`
}

var (
	url      = flag.String("url", "", "")
	count    = flag.Int("count", 50000, "")
	warmUp   = flag.Int("warm-up", 5000, "")
	queue    = flag.String("queue", "bench", "")
	prefetch = flag.Int("prefetch", 500, "")
	noAck    = flag.Bool("no-ack", false, "")
	window   = flag.Int("window", 1000, "")
	broker   = flag.Int("broker-process", 0, "")
	texts    = flag.String("texts", "", "")
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// -- what was used ------------------------------------------------------------------

type usage struct {
	at          time.Time
	cpu, broker float64
}

func brokerCPU() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", *broker))
	if err != nil {
		return 0
	}
	var fields = strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var user, system float64
	fmt.Sscan(fields[11], &user)
	fmt.Sscan(fields[12], &system)
	return (user + system) * 1e4
}

func now() usage {
	var own syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &own)
	return usage{time.Now(), float64(own.Utime.Nano()+own.Stime.Nano()) / 1e3, brokerCPU()}
}

type measurement struct {
	number     int
	begin, end usage
}

func (m *measurement) event() {
	m.number++
	if m.number == *warmUp {
		m.begin = now()
	} else if m.number == *count {
		m.end = now()
	}
}

func (m *measurement) print() {
	events := float64(*count - *warmUp)
	fmt.Printf("{\"events\": %v, \"rate\": %v, \"cpu\": %v, \"broker\": %v}\n", events,
		events/m.end.at.Sub(m.begin.at).Seconds(), (m.end.cpu-m.begin.cpu)/events,
		(m.end.broker-m.begin.broker)/events)
}

// -- commands -----------------------------------------------------------------------

func receive(channel *amqp.Channel) {
	_, err := channel.QueueDeclare(*queue, false, true, false, false, nil)
	must(err)
	must(channel.Qos(*prefetch, 0, false))
	deliveries, err := channel.Consume(*queue, "", *noAck, false, false, false, nil)
	must(err)
	var measured measurement
	var inflater io.ReadCloser
	unacked := 0
	for d := range deliveries {
		if inflater == nil {
			inflater, err = zlib.NewReader(bytes.NewReader(d.Body))
		} else {
			err = inflater.(zlib.Resetter).Reset(bytes.NewReader(d.Body), nil)
		}
		must(err)
		text, err := io.ReadAll(inflater)
		must(err)
		var x event
		must(json.Unmarshal(text, &x))
		unacked++
		if !*noAck && (*prefetch == 1 || unacked*2 >= *prefetch) {
			must(d.Ack(true))
			unacked = 0
		}
		measured.event()
		if measured.number == *count {
			break
		}
	}
	measured.print()
}

func books() []book {
	file, err := os.Open(*texts)
	must(err)
	var result []book
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var x book
		must(json.Unmarshal(lines.Bytes(), &x))
		result = append(result, x)
	}
	return result
}

// sealer writes bodies by one stream.
type sealer struct {
	body     bytes.Buffer
	deflater *zlib.Writer
}

func (s *sealer) seal(x book) []byte {
	text, err := json.Marshal(event{"EVENT_ORDERBOOK", x})
	must(err)
	s.body.Reset()
	if s.deflater == nil {
		s.deflater = zlib.NewWriter(&s.body)
	} else {
		s.deflater.Reset(&s.body)
	}
	s.deflater.Write(text)
	must(s.deflater.Close())
	return append([]byte(nil), s.body.Bytes()...)
}

// publish waits for confirms by their channel: deferred ones of this version miss what
// is confirmed before they are made.
func publish(channel *amqp.Channel, confirms bool) {
	all := books()
	var answers chan amqp.Confirmation
	if confirms {
		must(channel.Confirm(false))
		answers = channel.NotifyPublish(make(chan amqp.Confirmation, *window))
	}
	var measured measurement
	var s sealer
	open := 0
	for i := 0; i < *count; i++ {
		message := amqp.Publishing{Body: s.seal(all[i%len(all)])}
		must(channel.PublishWithContext(context.Background(), exchange, key, false, false, message))
		if !confirms {
			measured.event()
			continue
		}
		for open++; open >= *window; open-- {
			<-answers
			measured.event()
		}
	}
	for ; open > 0; open-- {
		<-answers
		measured.event()
	}
	measured.print()
}

func main() {
	command := os.Args[1]
	flag.CommandLine.Parse(os.Args[2:])
	connection, err := amqp.Dial(*url)
	must(err)
	channel, err := connection.Channel()
	must(err)
	switch command {
	case "receive":
		receive(channel)
	case "publish":
		publish(channel, false)
	case "confirms":
		publish(channel, true)
	}
}
