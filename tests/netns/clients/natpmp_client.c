// A program that asks for ports through libnatpmp, with the gateway that the library finds by itself.
//   natpmp_client address                                    -> "gateway 10.77.0.1", "address 198.51.100.1"
//   natpmp_client map tcp|udp LOCAL PUBLIC LIFETIME          -> "mapped LOCAL PUBLIC LIFETIME"; lifetime 0 deletes
// The library's error is "error NUMBER" on standard output and exit code 1.
#include <arpa/inet.h>
#include <natpmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

static int fail(int code) {
  printf("error %d\n", code);
  return 1;
}

static int wait_for_answer(natpmp_t* library, natpmpresp_t* answer) {
  int code = NATPMP_TRYAGAIN;
  while (code == NATPMP_TRYAGAIN) {
    struct timeval timeout;
    fd_set sockets;
    FD_ZERO(&sockets);
    FD_SET(library->s, &sockets);
    getnatpmprequesttimeout(library, &timeout);
    select(library->s + 1, &sockets, NULL, NULL, &timeout);
    code = readnatpmpresponseorretry(library, answer);
  }
  return code;
}

int main(int count, char** arguments) {
  natpmp_t library;
  natpmpresp_t answer;
  int code = initnatpmp(&library, 0, 0);
  if (code < 0) return fail(code);
  if (count == 2 && strcmp(arguments[1], "address") == 0) {
    struct in_addr gateway = {.s_addr = library.gateway};
    printf("gateway %s\n", inet_ntoa(gateway));
    code = sendpublicaddressrequest(&library);
  } else if (count == 6 && strcmp(arguments[1], "map") == 0) {
    const int protocol = strcmp(arguments[2], "tcp") == 0 ? NATPMP_PROTOCOL_TCP : NATPMP_PROTOCOL_UDP;
    code = sendnewportmappingrequest(&library, protocol, (uint16_t)atoi(arguments[3]), (uint16_t)atoi(arguments[4]),
                                     (uint32_t)atoi(arguments[5]));
  } else {
    fprintf(stderr, "usage: natpmp_client address | map tcp|udp LOCAL PUBLIC LIFETIME\n");
    return 64;
  }
  if (code < 0) return fail(code);
  code = wait_for_answer(&library, &answer);
  if (code < 0) return fail(code);
  if (answer.type == NATPMP_RESPTYPE_PUBLICADDRESS)
    printf("address %s\n", inet_ntoa(answer.pnu.publicaddress.addr));
  else
    printf("mapped %u %u %u\n", answer.pnu.newportmapping.privateport, answer.pnu.newportmapping.mappedpublicport,
           answer.pnu.newportmapping.lifetime);
  closenatpmp(&library);
  return 0;
}
