#include "kernel_tls.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>

#include "unique_fd.h"

// Of linux/socket.h, which libc's own header has only lately.
#ifndef SOL_TLS
#define SOL_TLS 282
#endif
// Since Linux 6.0; the addon may have been built with older headers.
#ifndef TLS_RX_EXPECT_NO_PAD
#define TLS_RX_EXPECT_NO_PAD 4
#endif

namespace flocker {

namespace {

// Content types, handshake types and alerts of RFC 8446, sections 5.1, 4 and 6.
constexpr uint8_t kAlert = 21, kHandshake = 22, kApplicationData = 23;
constexpr uint8_t kNewSessionTicket = 4, kKeyUpdate = 24;
constexpr size_t kMessageHeader = 4;
constexpr uint8_t kWarning = 1, kFatal = 2;
constexpr uint8_t kCloseNotify = 0, kUnexpectedMessage = 10, kBadRecordMac = 20, kRecordOverflow = 22,
                  kProtocolVersion = 70;

int GiveKey(int socket, int direction, const TrafficSecret& secret) {
  tls12_crypto_info_aes_gcm_128 info{};
  uint8_t iv[TLS_CIPHER_AES_GCM_128_SALT_SIZE + TLS_CIPHER_AES_GCM_128_IV_SIZE];
  info.info.version = TLS_1_3_VERSION;
  info.info.cipher_type = TLS_CIPHER_AES_GCM_128;
  int error = EIO;
  if (secret.Expand("key", info.key, sizeof info.key) && secret.Expand("iv", iv, sizeof iv)) {
    memcpy(info.salt, iv, sizeof info.salt);
    memcpy(info.iv, iv + sizeof info.salt, sizeof info.iv);
    error = setsockopt(socket, SOL_TLS, direction, &info, sizeof info) == 0 ? 0 : errno;
  }
  explicit_bzero(&info, sizeof info);
  explicit_bzero(iv, sizeof iv);
  return error;
}

/** A connection to ourselves; returns 0 or an errno. */
int Connect(UniqueFd* client, UniqueFd* server) {
  UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (!listener || bind(listener.get(), generic, size) != 0 || listen(listener.get(), 1) != 0) return errno;
  if (getsockname(listener.get(), generic, &size) != 0) return errno;
  *client = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!*client || connect(client->get(), generic, size) != 0) return errno;
  *server = UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  return *server ? 0 : errno;
}

}  // namespace

std::string KernelTls::Problem() {
  UniqueFd client, server;
  int error = Connect(&client, &server);
  if (error != 0) return std::string("it could not be tried over loopback: ") + strerror(error);
  TrafficSecret secret;
  secret.Parse(std::string(2 * TrafficSecret::kSize, '0').c_str());
  KernelTls tls(client.get(), 0);
  bool untouched = false;
  error = tls.Begin(secret, secret, &untouched);
  if (error == ENOENT && untouched) return "this kernel has no TLS (CONFIG_TLS, the module tls)";
  if (error != 0) return std::string("this kernel does not take the keys: ") + strerror(error);
  error = tls.ChangeKey(TLS_RX, &tls.receive_);
  if (error == 0) error = tls.ChangeKey(TLS_TX, &tls.send_);
  if (error == 0) return {};
  return std::string("this kernel can't change the keys of a connection (Linux 6.14 and later can): ") + strerror(error);
}

int KernelTls::Begin(const TrafficSecret& send, const TrafficSecret& receive, bool* untouched) {
  *untouched = true;
  send_ = send;
  receive_ = receive;
  if (setsockopt(socket_, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") != 0) return errno;
  // Without keys the socket is still one of plain TCP.
  int error = GiveKey(socket_, TLS_RX, receive_);
  if (error != 0) return error;
  *untouched = false;
  // Our peers never pad: records are decrypted to where they are wanted. A kernel that doesn't know of it copies them there.
  int yes = 1;
  setsockopt(socket_, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &yes, sizeof yes);
  return GiveKey(socket_, TLS_TX, send_);
}

void KernelTls::Write(const char* data, size_t size) {
  if (budget_.Spend(size)) UpdateKey();
  out_.insert(out_.end(), data, data + size);
}

void KernelTls::UpdateKey() {
  bool pending = std::any_of(marks_.begin(), marks_.end(), [](const Mark& mark) { return mark.kind == Mark::kKeyUpdate; });
  if (!pending) marks_.push_back({out_.size(), Mark::kKeyUpdate});
}

int KernelTls::Flush() {
  int error = 0;
  while (error == 0 && outSize() > 0) {
    size_t end = marks_.empty() ? out_.size() : marks_.front().at;
    bool bytes = outAt_ < end;
    error = bytes ? FlushBytes(end) : FlushMark(marks_.front());
    // One call for what is of the stream.
    if (bytes) break;
    if (error == 0) marks_.erase(marks_.begin());
  }
  if (outSize() == 0) {
    out_.clear();
    outAt_ = 0;
  }
  return error;
}

int KernelTls::FlushBytes(size_t end) {
  ssize_t count = send(socket_, out_.data() + outAt_, end - outAt_, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (count < 0) return errno;
  outAt_ += count;
  return 0;
}

int KernelTls::FlushMark(const Mark& mark) {
  if (mark.kind == Mark::kKeyUpdate) {
    constexpr uint8_t update[] = {kKeyUpdate, 0, 0, 1, 0};  // which asks for none in return
    int error = SendRecord(kHandshake, update, sizeof update);
    return error == 0 ? ChangeKey(TLS_TX, &send_) : error;
  }
  const bool close = mark.kind == Mark::kClose;
  const uint8_t alert[] = {close ? kWarning : kFatal, close ? kCloseNotify : mark.alert};
  return SendRecord(kAlert, alert, sizeof alert);
}

/** A record that is not of the stream's bytes; returns 0 or an errno. */
int KernelTls::SendRecord(uint8_t type, const uint8_t* bytes, size_t size) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof type)]{};
  iovec part{const_cast<uint8_t*>(bytes), size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_TLS;
  header->cmsg_type = TLS_SET_RECORD_TYPE;
  header->cmsg_len = CMSG_LEN(sizeof type);
  *CMSG_DATA(header) = type;
  return sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

int KernelTls::ChangeKey(int direction, TrafficSecret* secret) {
  return secret->Advance() ? GiveKey(socket_, direction, *secret) : EIO;
}

TlsResult KernelTls::Read(char* data, size_t size, size_t* count) {
  *count = 0;
  while (stopped_ == TlsResult::kDone) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(uint8_t))];
    iovec part{data, size};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t read = recvmsg(socket_, &message, MSG_DONTWAIT);
    if (read < 0 && errno == EAGAIN) return TlsResult::kAgain;
    if (read < 0) return stopped_ = Fail(errno);
    // A connection that closes without a word of TLS ends like any other.
    if (read == 0) return stopped_ = TlsResult::kEnded;
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    bool told = header != nullptr && header->cmsg_level == SOL_TLS && header->cmsg_type == TLS_GET_RECORD_TYPE;
    uint8_t type = told ? *CMSG_DATA(header) : kApplicationData;
    if (type == kApplicationData) {
      *count = read;
      return TlsResult::kDone;
    }
    stopped_ = ReadOther(type, reinterpret_cast<uint8_t*>(data), read);
  }
  return stopped_;
}

/** What is not of the stream; kDone where that goes on. */
TlsResult KernelTls::ReadOther(uint8_t type, const uint8_t* bytes, size_t size) {
  if (type == kHandshake) return ReadHandshake(bytes, size);
  if (type != kAlert || size != 2) return Fail("ERR_SSL_UNEXPECTED_RECORD", kUnexpectedMessage);
  if (bytes[1] == kCloseNotify) return TlsResult::kEnded;
  failure_ = "ERR_SSL_ALERT_NUMBER_" + std::to_string(bytes[1]);
  return TlsResult::kFailed;
}

/** Whole messages, as peers send them after a handshake: tickets, which nobody uses, or a change of keys, which is the last under the old ones. */
TlsResult KernelTls::ReadHandshake(const uint8_t* bytes, size_t size) {
  constexpr uint8_t update[] = {kKeyUpdate, 0, 0, 1};
  while (size >= kMessageHeader && bytes[0] == kNewSessionTicket) {
    size_t whole = kMessageHeader + (bytes[1] << 16 | bytes[2] << 8 | bytes[3]);
    if (whole > size) break;
    bytes += whole;
    size -= whole;
  }
  if (size == 0) return TlsResult::kDone;
  bool known = size == sizeof update + 1 && memcmp(bytes, update, sizeof update) == 0 && bytes[sizeof update] <= 1;
  if (!known) return Fail("ERR_SSL_UNEXPECTED_MESSAGE", kUnexpectedMessage);
  bool wanted = bytes[sizeof update] == 1;
  int error = ChangeKey(TLS_RX, &receive_);
  if (error != 0) return Fail(error);
  if (wanted) UpdateKey();
  return TlsResult::kDone;
}

/** What the kernel found: what is wrong with a record, named as OpenSSL does, or with the connection. */
TlsResult KernelTls::Fail(int error) {
  if (error == EBADMSG) return Fail("ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC", kBadRecordMac);
  if (error == EMSGSIZE) return Fail("ERR_SSL_PACKET_LENGTH_TOO_LONG", kRecordOverflow);
  if (error == EINVAL) return Fail("ERR_SSL_WRONG_VERSION_NUMBER", kProtocolVersion);
  error_ = error;
  return TlsResult::kFailed;
}

TlsResult KernelTls::Fail(const char* failure, uint8_t alert) {
  failure_ = failure;
  // What was gathered before would come too late.
  out_.clear();
  outAt_ = 0;
  marks_ = {{0, Mark::kAlert, alert}};
  return TlsResult::kFailed;
}

}  // namespace flocker

#endif
