using System.Net;
using System.Net.Sockets;
using Orleans.Configuration;

namespace Actors.Cluster;

/// <summary>Says before a silo starts which of its ports it cannot have: Orleans' own error names none.</summary>
internal static class SiloPorts
{
    /// <exception cref="SiloPortException">Somebody listens there already, or the address is not this machine's.</exception>
    public static void RequireFree(EndpointOptions options)
    {
        var (silo, gateway) = (
            new IPEndPoint(options.AdvertisedIPAddress, options.SiloPort),
            new IPEndPoint(options.AdvertisedIPAddress, options.GatewayPort));
        using var first = Listen(options.SiloListeningEndpoint ?? silo, nameof(ActorsClusterOptions.SiloPort));
        // Beside the first: they may be the same.
        using var second = Listen(options.GatewayListeningEndpoint ?? gateway, nameof(ActorsClusterOptions.GatewayPort));
    }

    private static Socket Listen(IPEndPoint endpoint, string option)
    {
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(endpoint);
            socket.Listen();
            return socket;
        }
        catch (SocketException error)
        {
            socket.Dispose();
            throw new SiloPortException(
                $"The silo cannot listen at {endpoint} ({error.Message}): end what listens there, or choose another {option} in AddActors' "
                    + $"Cluster options.", error);
        }
    }
}
