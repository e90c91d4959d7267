#include "amqp/link/tls.hpp"

#include <cerrno>
#include <chrono>
#include <utility>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include "amqp/link/certificate.hpp"

namespace actors::amqp {

namespace {

using clock = std::chrono::steady_clock;

struct free_context {
  void operator()(SSL_CTX* x) const noexcept {
    ::SSL_CTX_free(x);
  }
};

struct free_connection {
  void operator()(SSL* x) const noexcept {
    ::SSL_free(x);
  }
};

using context_ptr = std::unique_ptr<SSL_CTX, free_context>;
using connection_ptr = std::unique_ptr<SSL, free_connection>;

failure tls_failure(std::string text) {
  return {ec::tls_failed, std::move(text)};
}

std::string reason_text(unsigned long error) {
  auto text = ::ERR_reason_error_string(error);
  return text ? text : "OpenSSL error " + std::to_string(error);
}

// -- our files ----------------------------------------------------------------------

/// Returns why OpenSSL did not take a file. `key` is the key of the file in the settings.
failure file_failure(const char* key, const std::string& path, const char* expected) {
  auto name = std::string{key} + " '" + path + "' ";
  auto error = ::ERR_peek_error();
  if (ERR_SYSTEM_ERROR(error))
    return tls_failure(name + "cannot be read: " + error_text(ERR_GET_REASON(error)));
  return tls_failure(name + "holds no " + expected + " in PEM form");
}

/// OpenSSL would otherwise ask for a passphrase on the terminal.
int refuse_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

failure load_authorities(SSL_CTX* context, const tls_options& files) {
  if (files.cacertfile.empty()) {
    ::SSL_CTX_set_default_verify_paths(context);
    return {};
  }
  if (::SSL_CTX_load_verify_file(context, files.cacertfile.c_str()) == 1)
    return {};
  return file_failure("cacertfile", files.cacertfile, "certificate");
}

failure load_key(SSL_CTX* context, const tls_options& files) {
  auto key = files.keyfile.empty() ? "certfile" : "keyfile";
  auto& path = files.keyfile.empty() ? files.certfile : files.keyfile;
  auto passphrase = false;
  ::SSL_CTX_set_default_passwd_cb(context, &refuse_passphrase);
  ::SSL_CTX_set_default_passwd_cb_userdata(context, &passphrase);
  auto loaded = ::SSL_CTX_use_PrivateKey_file(context, path.c_str(), SSL_FILETYPE_PEM) == 1;
  ::SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  if (passphrase)
    return tls_failure(std::string{key} + " '" + path
                       + "' needs a passphrase: give a key without one, readable by us alone");
  auto mismatch = ERR_GET_REASON(::ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH;
  if (!loaded && !mismatch)
    return file_failure(key, path, "private key");
  if (!loaded || ::SSL_CTX_check_private_key(context) != 1)
    return tls_failure(std::string{key} + " '" + path
                       + "' holds another key than that of certfile '" + files.certfile + "'");
  return {};
}

failure load_certificate(SSL_CTX* context, const tls_options& files) {
  if (files.certfile.empty())
    return {};
  if (::SSL_CTX_use_certificate_chain_file(context, files.certfile.c_str()) != 1)
    return file_failure("certfile", files.certfile, "certificate");
  ::ERR_clear_error();
  return load_key(context, files);
}

outcome<context_ptr> make_context(const tls_options& files) {
  ::ERR_clear_error();
  context_ptr result{::SSL_CTX_new(::TLS_client_method())};
  if (!result || ::SSL_CTX_set_min_proto_version(result.get(), TLS1_2_VERSION) != 1)
    return {{}, tls_failure("TLS cannot be set up: " + reason_text(::ERR_peek_error()))};
  ::SSL_CTX_set_options(result.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // The output grows and moves between two attempts to write it.
  ::SSL_CTX_set_mode(result.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (auto problem = load_authorities(result.get(), files))
    return {{}, std::move(problem)};
  if (auto problem = load_certificate(result.get(), files))
    return {{}, std::move(problem)};
  return {std::move(result), {}};
}

// -- the connection -----------------------------------------------------------------

/// Returns why the broker refuses us, by the alert that it sent.
failure alert_failure(int reason, const tls_options& files) {
  const auto shown = files.certfile.empty() ? "" : " (ours is '" + files.certfile + "')";
  const auto says = "the broker says: " + reason_text(ERR_PACK(ERR_LIB_SSL, 0, reason)) + ": ";
  switch (reason) {
  case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    return tls_failure(says + "it demands a client certificate, set certfile and keyfile");
  case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    return files.certfile.empty()
               ? tls_failure(says + "it may demand a client certificate, set certfile and keyfile")
               : tls_failure(says + "it accepts neither our ciphers nor our certificate" + shown);
  case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    return tls_failure(says + "it does not know the authority of our certificate" + shown);
  case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    return tls_failure(says + "our certificate must be renewed" + shown);
  case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
  case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
  case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
  case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
  case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
  case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
    return tls_failure(says + "it does not accept our certificate" + shown);
  case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    return tls_failure(says + "it knows neither TLS 1.2 nor 1.3");
  default:
    return tls_failure(says + "its log says why");
  }
}

// -- the socket of OpenSSL ------------------------------------------------------------

/// OpenSSL's own socket raises SIGPIPE on a closed connection, unlike this function.
int write_without_signal(BIO* socket, const char* data, int size) {
  int fd = -1;
  BIO_get_fd(socket, &fd);
  BIO_clear_retry_flags(socket);
  const auto count =
      static_cast<int>(::send(fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL));
  if (count <= 0 && ::BIO_sock_should_retry(count) != 0)
    BIO_set_retry_write(socket);
  return count;
}

/// Returns OpenSSL's socket with that function; null without memory. The result is never freed,
/// because links may outlive `main`.
const BIO_METHOD* quiet_socket() {
  static const BIO_METHOD* const result = [] {
    const auto* socket = ::BIO_s_socket();
    auto* method =
        ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR,
                       "socket without signals");
    if (method != nullptr) {
      ::BIO_meth_set_write(method, &write_without_signal);
      ::BIO_meth_set_read(method, ::BIO_meth_get_read(socket));
      ::BIO_meth_set_ctrl(method, ::BIO_meth_get_ctrl(socket));
      ::BIO_meth_set_create(method, ::BIO_meth_get_create(socket));
      ::BIO_meth_set_destroy(method, ::BIO_meth_get_destroy(socket));
    }
    return method;
  }();
  return result;
}

class tls_stream : public byte_stream {
public:
  tls_stream(file_descriptor fd, context_ptr context, const endpoint& where)
      : fd_(std::move(fd)),
        files_(where.tls),
        verdict_(where),
        context_(std::move(context)),
        connection_(::SSL_new(context_.get())) {
    // nop
  }

  tls_stream(const tls_stream&) = delete;
  tls_stream& operator=(const tls_stream&) = delete;

  ~tls_stream() override {
    ::ERR_clear_error();
    // The protocol allows a shutdown only after the handshake and before an error.
    if (connected_ && !broken_)
      ::SSL_shutdown(connection_.get());
    ::ERR_clear_error();
  }

  /// Attaches the socket, and sets the checks of the broker's certificate; returns false if
  /// OpenSSL refuses.
  bool prepare() {
    auto* socket = quiet_socket() != nullptr ? ::BIO_new(quiet_socket()) : nullptr;
    if (!connection_ || socket == nullptr) {
      ::BIO_free(socket);
      return false;
    }
    BIO_set_fd(socket, fd_.get(), BIO_NOCLOSE);
    ::SSL_set_bio(connection_.get(), socket, socket);
    return verdict_.watch(connection_.get());
  }

  /// Makes one step of the handshake.
  io_result connect() {
    ::ERR_clear_error();
    auto result = ::SSL_connect(connection_.get());
    connected_ = result == 1;
    return connected_ ? io_result{} : outcome(result, 0);
  }

  int fd() const noexcept override {
    return fd_.get();
  }

  io_result read(char* to, std::size_t size) override {
    // OpenSSL keeps the rest of a record, which `poll` does not report, so no record is begun
    // that might not fit.
    std::size_t total = 0;
    while (size - total >= SSL3_RT_MAX_PLAIN_LENGTH) {
      std::size_t count = 0;
      ::ERR_clear_error();
      auto result = ::SSL_read_ex(connection_.get(), to + total, size - total, &count);
      if (result != 1)
        return outcome(result, total);
      total += count;
    }
    return {.size = total, .wants = POLLIN};
  }

  io_result write(std::string_view bytes) override {
    std::size_t total = 0;
    while (total < bytes.size()) {
      std::size_t count = 0;
      ::ERR_clear_error();
      auto result =
          ::SSL_write_ex(connection_.get(), bytes.data() + total, bytes.size() - total, &count);
      if (result != 1)
        return outcome(result, total);
      total += count;
    }
    return {.size = total, .wants = POLLOUT};
  }

private:
  /// Returns the outcome of a call that did not succeed, after `size` bytes.
  io_result outcome(int result, std::size_t size) {
    auto code = errno;
    switch (::SSL_get_error(connection_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {.outcome = io_result::status::would_block, .size = size, .wants = POLLIN};
    case SSL_ERROR_WANT_WRITE:
      return {.outcome = io_result::status::would_block, .size = size, .wants = POLLOUT};
    case SSL_ERROR_ZERO_RETURN:
      return ended(size, {ec::connection_lost, "the broker closed the TLS connection"});
    case SSL_ERROR_SYSCALL:
      broken_ = true;
      return ended(size, lost(code));
    default:
      broken_ = true;
      return ended(size, refused(::ERR_peek_error()));
    }
  }

  static io_result ended(std::size_t size, failure why) {
    return {.outcome = io_result::status::ended, .size = size, .why = std::move(why)};
  }

  failure lost(int code) const {
    if (code != 0)
      return {ec::connection_lost, error_text(code)};
    return {ec::connection_lost, connected_ ? "the broker closed the TCP connection"
                                            : "the broker closed the TCP connection during the "
                                              "TLS handshake: is this its port for TLS?"};
  }

  failure refused(unsigned long error) const {
    auto reason = ERR_GET_REASON(error);
    if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
      return lost(0);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
      return tls_failure(verdict_.text());
    if (reason == SSL_R_WRONG_VERSION_NUMBER && !connected_)
      return tls_failure("the broker does not speak TLS on this port: use its port for TLS, "
                         "usually 5671, or write amqp://; a relay is to be started with TLS, or "
                         "reached by relay://");
    if (reason == SSL_R_UNSUPPORTED_PROTOCOL)
      return tls_failure("the broker knows neither TLS 1.2 nor 1.3");
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET)
      return alert_failure(reason, files_);
    return tls_failure("TLS failed: " + reason_text(error));
  }

  file_descriptor fd_;
  tls_options files_;
  certificate_verdict verdict_;
  context_ptr context_;
  connection_ptr connection_;
  bool connected_ = false;
  /// TLS allows no shutdown after an error.
  bool broken_ = false;
};

} // namespace

outcome<std::unique_ptr<byte_stream>> start_tls(file_descriptor fd, const endpoint& where,
                                                const interruption& stop) {
  auto context = make_context(where.tls);
  if (!context.result)
    return {{}, std::move(context.error)};
  auto stream = std::make_unique<tls_stream>(std::move(fd), std::move(context.result), where);
  if (!stream->prepare())
    return {{}, tls_failure("TLS cannot be set up: " + reason_text(::ERR_peek_error()))};
  auto limit = clock::now() + where.handshake_timeout;
  for (;;) {
    auto step = stream->connect();
    if (step.outcome == io_result::status::done)
      return {std::move(stream), {}};
    if (step.outcome == io_result::status::ended)
      return {{}, std::move(step.why)};
    auto error = await(stream->fd(), step.wants, limit, stop);
    if (error == ECANCELED)
      return {};
    if (error == ETIMEDOUT)
      return {{}, {ec::handshake_timeout, "the TLS handshake did not end in time"}};
    if (error != 0)
      return {{}, {ec::connection_lost, error_text(error)}};
  }
}

} // namespace actors::amqp
