// A program that asks for a port through libminiupnpc as most do: search, then AddPortMapping, or AddAnyPortMapping where there is one.
//   upnp_client add|any LOCAL PUBLIC tcp|udp SECONDS   -> "local 10.77.0.2", "address 9.9.9.1", "mapped PUBLIC"
//   upnp_client remove PUBLIC tcp|udp                  -> "removed PUBLIC"
//   upnp_client show PUBLIC tcp|udp                    -> "leads to 10.77.0.2:8080 for 600 s"
// The library's error is "error NUMBER" on standard output and exit code 1.
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <stdio.h>
#include <string.h>

enum { search_ms = 600, connected = 1 };

static int fail(int code) {
  printf("error %d\n", code);
  return 1;
}

static const char* upper(const char* protocol) { return strcmp(protocol, "tcp") == 0 ? "TCP" : "UDP"; }

static int add(const char* url, const char* service, const char* local_address, char** arguments, int any) {
  char address[64] = "", reserved[16] = "";
  int code = UPNP_GetExternalIPAddress(url, service, address);
  if (code != UPNPCOMMAND_SUCCESS) return fail(code);
  const char *local = arguments[0], *public = arguments[1], *protocol = upper(arguments[2]), *seconds = arguments[3];
  code = any ? UPNP_AddAnyPortMapping(url, service, public, local, local_address, "a test", protocol, NULL, seconds, reserved)
             : UPNP_AddPortMapping(url, service, public, local, local_address, "a test", protocol, NULL, seconds);
  if (code != UPNPCOMMAND_SUCCESS) return fail(code);
  printf("local %s\naddress %s\nmapped %s\n", local_address, address, any ? reserved : public);
  return 0;
}

static int show(const char* url, const char* service, const char* public, const char* protocol) {
  char client[40] = "", port[6] = "", description[80] = "", enabled[4] = "", duration[16] = "";
  const int code = UPNP_GetSpecificPortMappingEntry(url, service, public, protocol, NULL, client, port, description, enabled, duration);
  if (code != UPNPCOMMAND_SUCCESS) return fail(code);
  printf("leads to %s:%s for %s s\n", client, port, duration);
  return 0;
}

static int remove_mapping(const char* url, const char* service, const char* public, const char* protocol) {
  const int code = UPNP_DeletePortMapping(url, service, public, protocol, NULL);
  if (code != UPNPCOMMAND_SUCCESS) return fail(code);
  printf("removed %s\n", public);
  return 0;
}

int main(int count, char** arguments) {
  int error = 0, code = 64;
  char local_address[64] = "";
  struct UPNPUrls urls;
  struct IGDdatas data;
  struct UPNPDev* devices = upnpDiscover(search_ms, NULL, NULL, UPNP_LOCAL_PORT_ANY, 0, 2, &error);
  if (!devices) return fail(error);
  const int found = UPNP_GetValidIGD(devices, &urls, &data, local_address, sizeof local_address);
  freeUPNPDevlist(devices);
  if (found != connected) return fail(found);
  const char* service = data.first.servicetype;
  if (count == 6 && strcmp(arguments[1], "add") == 0)
    code = add(urls.controlURL, service, local_address, arguments + 2, 0);
  else if (count == 6 && strcmp(arguments[1], "any") == 0)
    code = add(urls.controlURL, service, local_address, arguments + 2, 1);
  else if (count == 4 && strcmp(arguments[1], "remove") == 0)
    code = remove_mapping(urls.controlURL, service, arguments[2], upper(arguments[3]));
  else if (count == 4 && strcmp(arguments[1], "show") == 0)
    code = show(urls.controlURL, service, arguments[2], upper(arguments[3]));
  FreeUPNPUrls(&urls);
  return code;
}
