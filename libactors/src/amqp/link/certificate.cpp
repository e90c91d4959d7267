#include "amqp/link/certificate.hpp"

#include <cstddef>
#include <memory>
#include <string_view>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

namespace actors::amqp {

namespace {

/// The number of names shown of a certificate.
constexpr int max_names = 8;
constexpr std::size_t max_name_size = 128;

struct free_bio {
  void operator()(BIO* x) const noexcept {
    ::BIO_free(x);
  }
};

using bio_ptr = std::unique_ptr<BIO, free_bio>;

std::string text_in(BIO* x) {
  char* data = nullptr;
  auto size = BIO_get_mem_data(x, &data);
  return size > 0 ? std::string{data, static_cast<std::size_t>(size)} : std::string{};
}

/// Returns a peer's text made safe for a line of text.
std::string printable(std::string_view text) {
  std::string result{text.substr(0, max_name_size)};
  for (auto& c : result)
    if (c < ' ' || c > '~')
      c = '?';
  return result;
}

std::string name_text(const X509_NAME* name) {
  bio_ptr out{::BIO_new(::BIO_s_mem())};
  if (out)
    ::X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253);
  return "'" + printable(text_in(out.get())) + "'";
}

std::string time_text(const ASN1_TIME* time) {
  bio_ptr out{::BIO_new(::BIO_s_mem())};
  if (out)
    ::ASN1_TIME_print(out.get(), time);
  return text_in(out.get());
}

std::string address_text(const ASN1_OCTET_STRING* address) {
  char text[INET6_ADDRSTRLEN] = {};
  auto family = ::ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
  if (family == AF_INET6 && ::ASN1_STRING_length(address) != 16)
    return "?";
  ::inet_ntop(family, ::ASN1_STRING_get0_data(address), text, sizeof(text));
  return text;
}

std::string alternative_text(const GENERAL_NAME* name) {
  if (name->type == GEN_IPADD)
    return address_text(name->d.iPAddress);
  if (name->type != GEN_DNS)
    return {};
  auto text = name->d.dNSName;
  return printable({reinterpret_cast<const char*>(::ASN1_STRING_get0_data(text)),
                    static_cast<std::size_t>(::ASN1_STRING_length(text))});
}

/// Returns the hosts that a certificate is for, or its subject if it names no host.
std::string hosts_of(X509* certificate) {
  auto free_names = [](GENERAL_NAMES* x) { ::GENERAL_NAMES_free(x); };
  std::unique_ptr<GENERAL_NAMES, decltype(free_names)> names{
      static_cast<GENERAL_NAMES*>(
          ::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      free_names};
  std::string result;
  auto count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
  for (auto i = 0; i < count && i < max_names; ++i)
    if (auto name = alternative_text(sk_GENERAL_NAME_value(names.get(), i)); !name.empty())
      result += (result.empty() ? "" : ", ") + name;
  return result.empty() ? name_text(::X509_get_subject_name(certificate)) : result;
}

std::string explain(X509_STORE_CTX* context, const std::string& wanted) {
  auto error = ::X509_STORE_CTX_get_error(context);
  auto certificate = ::X509_STORE_CTX_get_current_cert(context);
  if (!certificate)
    return std::string{"the broker's certificate is not accepted: "}
           + ::X509_verify_cert_error_string(error);
  auto owner = ::X509_STORE_CTX_get_error_depth(context) == 0 ? "the broker's certificate "
                                                              : "the authority's certificate ";
  auto whose = owner + name_text(::X509_get_subject_name(certificate));
  switch (error) {
  case X509_V_ERR_CERT_HAS_EXPIRED:
    return whose + " expired on " + time_text(::X509_get0_notAfter(certificate))
           + ": it must be renewed";
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return whose + " is not valid before " + time_text(::X509_get0_notBefore(certificate))
           + ": compare the clocks of both hosts";
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    return whose + " is self-signed: if you trust it, name a copy of it as cacertfile";
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    return "the broker's certificate comes from an authority that is not trusted, "
           + name_text(::X509_get_issuer_name(certificate))
           + ": name its certificate as cacertfile";
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return "the broker's certificate is for " + hosts_of(certificate) + ", not for '" + wanted
           + "': connect to a name that it is for, or set server_name_indication to one";
  case X509_V_ERR_INVALID_PURPOSE:
    return whose + " is not meant for a server: its extended key usage must allow serverAuth";
  default:
    return whose + " is not accepted: " + ::X509_verify_cert_error_string(error);
  }
}

} // namespace

certificate_verdict::certificate_verdict(const endpoint& where)
    : verify_(where.tls.verify),
      name_(where.tls.server_name.empty() ? where.host : where.tls.server_name) {
  // "mq.example." is a full name in the DNS, but certificates leave the dot out.
  if (name_.ends_with('.'))
    name_.pop_back();
}

bool certificate_verdict::watch(SSL* connection) {
  SSL_set_app_data(connection, this);
  ::SSL_set_verify(connection, verify_ ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                   verify_ ? &on_certificate : nullptr);
  auto wanted = ::SSL_get0_param(connection);
  ::X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  // An address is compared with the certificate's addresses, and must not be announced as a
  // server name.
  if (::X509_VERIFY_PARAM_set1_ip_asc(wanted, name_.c_str()) == 1)
    return true;
  return ::X509_VERIFY_PARAM_set1_host(wanted, name_.c_str(), name_.size()) == 1
         && SSL_set_tlsext_host_name(connection, name_.c_str()) == 1;
}

int certificate_verdict::on_certificate(int accepted, X509_STORE_CTX* context) {
  auto connection = static_cast<SSL*>(
      ::X509_STORE_CTX_get_ex_data(context, ::SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto self = static_cast<certificate_verdict*>(SSL_get_app_data(connection));
  if (accepted != 1 && self->text_.empty())
    self->text_ = explain(context, self->name_);
  return accepted;
}

} // namespace actors::amqp
