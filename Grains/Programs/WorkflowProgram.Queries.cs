using Actors.Storage;
using Actors.Wire;

namespace Actors.Programs;

/// <summary>Queries read the object between two turns: the code stands still, and gives no commands.</summary>
internal sealed partial class WorkflowProgram
{
    private bool _inQuery;

    public Payload Query(string name, Payload arguments)
    {
        var method = _type.Queries.GetValueOrDefault(name)
            ?? throw new UnknownMethodException($"Workflow '{Id}' ({_type.Name}) has no query '{name}'.");
        var values = Arguments(arguments, method, $"Query {name} of workflow '{Id}'");
        _inQuery = true;
        Ambient.EnterCode();
        try
        {
            return _payloads.Write(Invoke(method, values), method.ReturnType, $"Value of query {name} of workflow '{Id}'");
        }
        catch (Exception error) when (error is not WorkflowCodeException)
        {
            // The type of one of the library's own would tell the caller about this call what it was to tell about another.
            throw new QueryFailedException(
                $"Query '{name}' of workflow '{Id}' threw {error.GetType().Name}: {ErrorText.MessageOf(error)}", error.GetType().FullName!);
        }
        finally
        {
            _inQuery = false;
            Ambient.Drop(); // What the code has left is not for whoever has this thread next.
        }
    }
}
